// The page: what the bench says is shown, what is clicked is done to the bench.

import uPlot from "./uPlot.esm.js";
import {Bench, Fleet} from "./bench.mjs";
import {Decoder} from "./can.mjs";
import {Panel} from "./panel.mjs";
import {words as rs485Words} from "./rs485.mjs";

const $ = id => document.getElementById(id);
const SPEEDS = [1, 5, 20, 60];
const LOOK_MS = 100, REPORT_MS = 500, WORDS_MS = 2000;      // simulated, at speed 1
const KEPT = 3000;                                          // points of a plot
const BAD = new Set(["trip", "lock", "fault", "first_out"]), WARN = new Set(["alarm", "limit"]);
const MODES = ["self-consumption", "time-of-use", "back-up"];
const SIMPLE = [
  ["Charge 20 A", {charger_mv: 57600, charger_ma: 20000, load_ma: null}],
  ["Charge 50 A", {charger_mv: 57600, charger_ma: 50000, load_ma: null}],
  ["Load 20 A", {charger_mv: null, charger_ma: null, load_ma: 20000}],
  ["Load 90 A", {charger_mv: null, charger_ma: null, load_ma: 90000}],
  ["Rest", {charger_mv: null, charger_ma: null, load_ma: null}],
];

const data = await (await fetch("page.json")).json();
const faults = await (await fetch("faults.json")).json();
const decoder = new Decoder(data.can);
let all, bench, benches = [], views = [], view, options, steps, playing = true, speed = 1, closed = 0;
const panel = new Panel($("panel"));

// ---- small things ---------------------------------------------------------------------------

const volts = mv => mv == null ? "–" : (mv / 1000).toFixed(2) + " V";
const amps = ma => ma == null ? "–" : (Math.round(ma / 100) / 10 || 0).toFixed(1) + " A";
const percent = cpct => cpct == null ? "–" : (cpct / 100).toFixed(0) + " %";
const time = ms => {
  const s = Math.floor(ms / 1000), h = Math.floor(s / 3600);
  return (h ? h + ":" + String(Math.floor(s / 60) % 60).padStart(2, "0") : Math.floor(s / 60))
    + ":" + String(s % 60).padStart(2, "0");
};

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

function button(parent, name, act) {
  const made = parent.appendChild(document.createElement("button"));
  made.textContent = name;
  made.onclick = () => act(made);
  return made;
}

/** Do something to the shown pack, or another, and keep it for the link and the script. */
function act(fields, index = benches.indexOf(bench)) {
  steps.push([Math.round(bench.us / 1000), fields, index]);
  return benches[index].set(fields).catch(error => notice(error.message));
}

/** What one pack has to show. */
class View {
  history = Array.from({length: 9}, () => []);
  lastEvent = 0;
  nextReport = 0;
  nextWords = 0;
  log = [];
  can = new Map();
  terminal = "";
  pcs = "";
  heard = "";               // of RS485, not yet whole
  why = "";
  limits = "";
  headline = ["Starting…", ""];
  report = null;
  pressed = new Set();
}

// ---- what is shown --------------------------------------------------------------------------

function showState(state) {
  const {wire, truth} = state;
  panel.show(wire, bench.powered);
  const cells = truth.cell_mv.filter(mv => mv != null), low = Math.min(...cells), high = Math.max(...cells);
  const from = Math.min(2800, low - 50), to = Math.max(3650, high + 20);
  const bars = $("cells");
  while (bars.children.length < cells.length) bars.appendChild(document.createElement("i")).appendChild(document.createElement("b"));
  while (bars.children.length > cells.length) bars.lastChild.remove();
  cells.forEach((mv, i) => {
    const bar = bars.children[i];
    bar.style.height = 12 + 84 * (mv - from) / (to - from) + "%";
    bar.className = (mv >= 3600 ? "high " : mv <= 2700 ? "low " : "") + (wire.balance.includes(i) ? "bled" : "");
    bar.title = `cell ${i}: ${mv.toFixed(0)} mV`;
    bar.firstChild.textContent = i;
  });
  $("cells-words").textContent = `lowest ${volts(low)}, highest ${volts(high)}, ${(high - low).toFixed(0)} mV apart`
    + (wire.balance.length ? `; ${wire.balance.length} bled` : "");
  if (truth.harm?.length) notice("The physical model saw harm: " + truth.harm.map(h => h[0]).join(", "));
}

function headline(now) {
  const up = [...now.protections, ...now.faults].map(id => now.words[id] ?? id);
  const level = up.length ? "bad" : now.alarms.length ? "warn" : "";
  return [up.length ? up.join(", ")
    : now.alarms.length ? "Alarm: " + now.alarms.map(id => now.words[id] ?? id).join(", ")
    : {charging: `Charging with ${amps(now.current_ma)}`, discharging: `Discharging with ${amps(-now.current_ma)}`,
       standby: "Ready, nothing flows", self_test: "Testing itself", sleep: "Asleep", off: "Off"}[now.state] ?? now.state, level];
}

function showHeadline() {
  const [text, level] = view.headline;
  if ($("headline").textContent !== text) $("headline").textContent = text;
  $("headline").dataset.level = level;
}

/** One button a pack, with what it does in a few words. */
function showPacks() {
  $("packs").hidden = benches.length < 2;
  views.forEach((each, i) => {
    const chosen = each === view, made = $("packs").children[i], now = each.report;
    if (!made) return;
    made.setAttribute("aria-pressed", chosen);
    made.lastChild.textContent = now ? `${percent(now.soc_cpct)}, ${amps(now.current_ma)}` : "…";
    made.dataset.level = each.headline[1];
    made.title = each.headline[0];
  });
}

function choosePack(index) {
  bench = benches[index];
  view = views[index];
  view.nextReport = view.nextWords = 0;
  window.bench = bench;                     // for a person at the browser's own console, and tests
  canRows.clear();
  $("can").replaceChildren();
  $("log").replaceChildren(...view.log.map(logRow));
  for (const id of ["terminal", "pcs", "why", "limits"]) $(id).textContent = view[id];
  $("dip").value = benches.length > 1 ? index + 1 : options.dip ?? 0;
  for (const made of document.querySelectorAll("#faults [aria-pressed]")) made.setAttribute("aria-pressed", view.pressed.has(made.textContent));
  showHeadline();
  if (view.report) showReport(view.report);
  draw();
  showPacks();
}

function showReport(now) {
  showHeadline();
  const temps = now.temp_dc.filter(dc => dc != null);
  const rows = [["Terminals", volts(now.pack_mv)], ["Current", amps(now.current_ma)],
    ["Charge", now.soc_cpct == null ? "–" : `${percent(now.soc_cpct)} ± ${percent(now.soc_uncertainty_cpct)}`],
    ["Cells", temps.length ? `${(Math.min(...temps) / 10).toFixed(0)}…${(Math.max(...temps) / 10).toFixed(0)} °C` : "–"],
    ["May charge with", amps(now.ccl_ma)], ["May give", amps(now.dcl_ma)], ["Charge to", volts(now.cvl_mv)],
    ["Stack", volts(now.stack_mv)]];
  $("numbers").replaceChildren(...rows.map(([name, value]) => {
    const row = document.createElement("div");
    row.append(Object.assign(document.createElement("dt"), {textContent: name}), Object.assign(document.createElement("dd"), {textContent: value}));
    return row;
  }));
  $("fets").replaceChildren(...[["charge FET", "chg"], ["discharge FET", "dsg"]].map(([name, id]) => {
    const on = now.fets.includes(id);
    const made = Object.assign(document.createElement("span"), {textContent: `${name} ${on ? "closed" : "open"}`});
    made.dataset.on = on ? 1 : 0;
    return made;
  }));
  const inverter = benches[0].inverter;
  $("inverter-words").textContent = !inverter ? "" :
    `battery ${inverter.battery_w >= 0 ? "takes" : "gives"} ${Math.abs(inverter.battery_w).toFixed(0)} W, `
    + (inverter.served ? "the house is served" : "the house is dark: " + inverter.forbidden)
    + (inverter.codes.length ? "; codes " + inverter.codes.join(" ") : "");
}

/** A point of the plots of *mine*. */
function remember(mine, now) {
  const t = bench.us / 1e6, soc = now.soc_cpct == null ? null : now.soc_cpct / 100;
  const bound = now.soc_uncertainty_cpct == null ? 0 : now.soc_uncertainty_cpct / 100;
  const cells = now.cell_mv.filter(mv => mv != null);
  keep(mine, [t, now.current_ma / 1000, now.ccl_ma / 1000, -now.dcl_ma / 1000,
    cells.length ? Math.min(...cells) / 1000 : null, cells.length ? Math.max(...cells) / 1000 : null,
    soc, soc == null ? null : Math.max(0, soc - bound), soc == null ? null : Math.min(100, soc + bound)]);
}

function logRow({at, said, level}) {
  const row = document.createElement("li");
  row.append(Object.assign(document.createElement("time"), {textContent: at}),
    Object.assign(document.createElement("span"), {textContent: said, className: level}));
  return row;
}

function keepEvents(mine, events) {
  for (const event of events) {
    mine.lastEvent = event.seq;
    if (event.event === "first_out") continue;          // a trip or fault says the same
    const said = data.events[event.event] ?? event.event, unit = event.unit ? " " + event.unit : "";
    const text = said[0].toUpperCase() + said.slice(1)
      + (event.words ? ": " + event.words.replaceAll("_", " ") : "")
      + (event.cell >= 0 && event.words ? `, cell ${event.cell}` : "")
      + (BAD.has(event.event) && event.unit ? ` (${event.value}${unit}, limit ${event.limit}${unit})` : "");
    const entry = {at: time(bench.us / 1000), said: text,
      level: BAD.has(event.event) ? "bad" : WARN.has(event.event) ? "warn" : ""};
    mine.log = [entry, ...mine.log].slice(0, 200);
    if (mine === view) $("log").prepend(logRow(entry));
  }
  while ($("log").children.length > 200) $("log").lastChild.remove();
}

// ---- plots ----------------------------------------------------------------------------------

const COLOURS = {blue: "#2b7a9e", orange: "#d9730d", teal: "#0f8f7f", grey: "#8a9896"};
const plots = [];

function makePlots() {
  const ink = getComputedStyle(document.body).getPropertyValue("--quiet");
  const grid = getComputedStyle(document.body).getPropertyValue("--line");
  const axis = {stroke: ink, grid: {stroke: grid, width: 1}, ticks: {stroke: grid}};
  const line = (label, stroke, more) => ({label, stroke, width: 2, spanGaps: true, points: {show: false}, ...more});
  const rows = [
    ["plot-current", "A", [1, 2, 3], [line("current, A", COLOURS.blue), line("may charge", COLOURS.teal, {dash: [6, 4]}), line("may give", COLOURS.orange, {dash: [2, 3]})]],
    ["plot-cells", "V", [4, 5], [line("lowest cell, V", COLOURS.orange), line("highest cell, V", COLOURS.blue)]],
    ["plot-soc", "%", [6, 7, 8], [line("charge, %", COLOURS.teal), line("at least", COLOURS.grey, {dash: [2, 3], width: 1}), line("at most", COLOURS.grey, {dash: [6, 4], width: 1})]],
  ];
  for (const plot of plots.splice(0)) {
    sizes.unobserve($(plot.id));
    plot.made.destroy();
  }
  for (const [id, unit, columns, series] of rows) {
    const made = new uPlot({width: $(id).clientWidth || 400, height: 170, legend: {live: false}, scales: {x: {time: false}}, cursor: {drag: {x: false}},
      axes: [{...axis, values: (_, ticks) => ticks.map(s => time(s * 1000))}, {...axis, size: 60, values: (_, ticks) => ticks.map(value => +value.toFixed(3) + " " + unit)}],
      series: [{label: "time", value: (_, s) => s == null ? "–" : time(s * 1000)}, ...series]}, [[]].concat(series.map(() => [])), $(id));
    plots.push({made, columns, id});
    sizes.observe($(id));
  }
  draw();
}

function keep(mine, row) {
  const {history} = mine;
  row.forEach((value, i) => history[i].push(value));
  if (history[0].length > KEPT) for (let i = 0; i < history.length; i++) history[i] = history[i].filter((_, k) => k % 2 === 0);
  if (mine === view) draw();
}

function draw() {
  if (!view) return;
  for (const {made, columns} of plots) made.setData([view.history[0], ...columns.map(column => view.history[column])]);
}

const sizes = new ResizeObserver(() => plots.forEach(({made, id}) => {
  if (made.width !== $(id).clientWidth) made.setSize({width: $(id).clientWidth, height: 170});
}));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", makePlots);

// ---- wires ----------------------------------------------------------------------------------

const canRows = new Map();

function showCan() {
  if ($("pane-can").hidden) return;
  for (const [id, bytes] of view.can) {
    let row = canRows.get(id);
    if (!row) {
      row = $("can").appendChild(document.createElement("tr"));
      for (let i = 0; i < 3; i++) row.appendChild(document.createElement("td"));
      row.children[0].textContent = id.toString(16).toUpperCase().padStart(3, "0");
      canRows.set(id, row);
    }
    row.children[1].textContent = Array.from(bytes, b => b.toString(16).padStart(2, "0")).join(" ");
    row.children[2].textContent = decoder.words(id, bytes);
  }
}

function append(mine, id, text) {
  mine[id] = (mine[id] + text).slice(-20_000);
  if (mine !== view) return;
  const box = $(id), low = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  box.textContent = mine[id];
  if (low) box.scrollTop = box.scrollHeight;
}

const decode = new TextDecoder();
const on = mine => ({
  can: ({id, data: bytes}) => mine.can.set(id, bytes),
  pcs: bytes => append(mine, "pcs", rs485Words(mine, bytes)),
  text: bytes => append(mine, "terminal", decode.decode(bytes).replaceAll(/\r|\x1b\[[0-9;]*[A-Za-z]|\x07/g, "")),
  print: line => console.warn(line),
  start: () => { mine.nextReport = 0; },
});

// ---- time -----------------------------------------------------------------------------------

/** Ask *pack* for its report, when it is time, and keep it in *mine*. */
async function look(pack, mine) {
  const now = bench.us / 1000, chosen = mine === view, slower = Math.max(1, speed / 2) * (chosen ? 1 : 4);
  if (now < mine.nextReport || !pack.powered) return;
  mine.nextReport = now + REPORT_MS * slower;
  await pack.talk(async words => {
    mine.report = await words.report();
    mine.headline = headline(mine.report);
    remember(mine, mine.report);
    if (mine.report.events != null && mine.report.events !== mine.lastEvent) keepEvents(mine, await words.events(mine.lastEvent));
    if (chosen && now >= mine.nextWords) {
      mine.nextWords = now + WORDS_MS * slower;
      mine.why = await words.command("why");
      mine.limits = await words.command("limits");
    }
    if (mine === view) {
      showReport(mine.report);
      for (const id of ["why", "limits"]) $(id).textContent = mine[id];
    }
  }).catch(error => { if (pack.powered) mine.headline = [error.message, "warn"]; });
}

/** One look: let time pass, then ask and show. Ends when the bench is another. */
async function live(mine) {
  let due = performance.now(), paceFrom = [performance.now(), bench.us];
  while (mine === closed) {
    if (!playing) {
      await new Promise(next => setTimeout(next, 50));
      due = performance.now();
      paceFrom = [due, bench.us];
      continue;
    }
    try {
      const ms = LOOK_MS * Math.max(1, Math.min(speed, 20));
      await bench.run(ms);
      showState(await bench.state());
      for (const [i, each] of views.entries()) await look(benches[i], each);
      showPacks();
      showCan();
    } catch (error) {
      if (mine === closed) notice("The bench has stopped: " + error.message);
      return;
    }
    $("clock").textContent = time(bench.us / 1000);
    due += LOOK_MS * Math.max(1, Math.min(speed, 20)) / speed;
    const wall = performance.now();
    if (wall - paceFrom[0] > 1000) {
      $("pace").textContent = `${((bench.us - paceFrom[1]) / 1000 / (wall - paceFrom[0])).toFixed(1)} × real time`;
      paceFrom = [wall, bench.us];
    }
    if (due < wall - 500) due = wall;
    await new Promise(next => setTimeout(next, Math.max(0, due - wall)));
  }
}

async function start(given, script = []) {
  closed++;
  all?.close();
  options = given;
  steps = [];
  const count = options.modules ?? 1, {modules, ...rest} = options;
  views = Array.from({length: count}, () => new View());
  notice("");
  const made = count > 1 ? new Fleet(count, data.pins, data.plants, i => on(views[i]))
    : new Bench(data.pins, data.plants, on(views[0]));
  all = made;
  benches = count > 1 ? made.packs : [made];
  $("packs").replaceChildren(...benches.map((_, i) => {
    const one = Object.assign(document.createElement("button"), {onclick: () => choosePack(i)});
    one.append(Object.assign(document.createElement("b"), {textContent: `Pack ${i + 1}`}), document.createElement("span"));
    return one;
  }));
  $("count").value = count;
  $("inverter").value = "";
  rockerIs(true);
  choosePack(0);
  await made.open(rest);
  if (made !== all) return;
  document.body.dataset.ready = "1";
  for (const [ms, fields, index] of script) {
    if (ms > bench.us / 1000) await bench.run(ms - bench.us / 1000);
    await act(fields, index ?? 0);
  }
  live(closed);
}

// ---- controls -------------------------------------------------------------------------------

function rockerIs(up) {
  $("rocker").setAttribute("aria-pressed", up);
  $("rocker").textContent = up ? "Switch: on" : "Switch: off";
}

function inverterChanged() {
  const day = +$("day").value;
  $("sun").disabled = $("house").disabled = day > 0;
  $("sun-w").textContent = $("sun").value + " W";
  $("house-w").textContent = $("house").value + " W";
  const port = $("inverter").value;
  act({inverter: port ? {port, mode: $("mode").value, grid: $("grid").checked, drm: $("drm").value ? [+$("drm").value] : [],
    ...day ? {hour_s: day} : {pv_w: +$("sun").value, load_w: +$("house").value}} : null}, 0);
}

function setUp() {
  for (const value of SPEEDS) $("speed").add(new Option(value + " ×", value));
  $("speed").onchange = () => { speed = +$("speed").value; };
  for (const name of Object.keys(data.plants)) $("profile").add(new Option(name, name));
  $("count").onchange = () => start({...options, modules: +$("count").value});
  $("profile").onchange = () => start({...options, profile: $("profile").value});
  for (const mode of MODES) $("mode").add(new Option(mode, mode));
  $("play").onclick = () => {
    playing = !playing;
    $("play").textContent = playing ? "Pause" : "Go on";
    $("play").setAttribute("aria-pressed", playing);
  };
  $("restart").onclick = () => start(options);
  for (const id of ["inverter", "mode", "day", "sun", "house", "grid", "drm"]) $(id).onchange = inverterChanged;
  for (const id of ["sun", "house"]) $(id).oninput = () => { $(id + "-w").textContent = $(id).value + " W"; };
  $("sun-w").textContent = $("sun").value + " W";
  $("house-w").textContent = $("house").value + " W";
  for (const [name, fields] of SIMPLE) button($("simple"), name, () => act(fields));
  for (const fault of faults) {
    const made = button($("faults"), fault.name, () => {
      if (!fault.undo) {                    // over by itself
        $("look").textContent = fault.look;
        act(fault.set);
        return;
      }
      const undo = made.getAttribute("aria-pressed") === "true";
      made.setAttribute("aria-pressed", !undo);
      view.pressed[undo ? "delete" : "add"](fault.name);
      $("look").textContent = fault.look + (undo ? " Taken back." : " Press again to take it back.");
      act(undo ? fault.undo : fault.set);
    });
    if (fault.undo) made.setAttribute("aria-pressed", "false");
    made.title = fault.look;
  }
  $("dip").onchange = () => act({dip: +$("dip").value});
  $("rocker").onclick = () => {
    const up = $("rocker").getAttribute("aria-pressed") !== "true";
    rockerIs(up);
    act({rocker: up ? 1 : 0});
  };
  const rst = down => () => { if (down !== rst.down) { rst.down = down; act({rst: down ? 1 : 0}); } };
  $("rst").onpointerdown = rst(true);
  for (const name of ["pointerup", "pointerleave", "blur"]) $("rst").addEventListener(name, () => rst.down && rst(false)());
  $("rst").onkeydown = event => { if (event.key === " " || event.key === "Enter") { event.preventDefault(); rst(true)(); } };
  $("rst").onkeyup = () => rst.down && rst(false)();
  $("sound").onclick = () => {
    const loud = $("sound").getAttribute("aria-pressed") !== "true";
    $("sound").setAttribute("aria-pressed", loud);
    $("sound").textContent = loud ? "Sound: on" : "Sound: off";
    panel.sound(loud);
  };
  $("prompt").onsubmit = event => {
    event.preventDefault();
    bench.type($("line").value + "\r");
    $("line").value = "";
  };
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const choose = tab => {
    for (const each of tabs) {
      const chosen = each === tab;
      each.setAttribute("aria-selected", chosen);
      each.tabIndex = chosen ? 0 : -1;
      $(each.getAttribute("aria-controls")).hidden = !chosen;
    }
    tab.focus();
  };
  tabs.forEach((tab, i) => {
    tab.onclick = () => choose(tab);
    tab.onkeydown = event => {
      const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
      if (step) choose(tabs[(i + step + tabs.length) % tabs.length]);
    };
  });
  $("share").onclick = async () => {
    location.hash = btoa(JSON.stringify({options, steps}));
    await navigator.clipboard?.writeText(location.href).catch(() => {});
    notice("The link in the address bar plays this scenario again; it is copied.");
    setTimeout(() => notice(""), 4000);
  };
  $("save").onclick = () => {
    const many = benches.length > 1, {modules, ...rest} = options;
    const lines = [many ? {cmd: "fleet", board: "host", ...options} : {cmd: "open", board: "host", ...rest}];
    let at = 0;
    for (const [ms, fields, module] of steps) {
      if (ms > at) lines.push({cmd: "run", ms: ms - at});
      at = Math.max(at, ms);
      lines.push({cmd: "set", ...many ? {module} : {}, ...fields});
    }
    lines.push({cmd: "run", ms: Math.max(0, Math.round(bench.us / 1000) - at)}, {cmd: "get"});
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([lines.map(line => JSON.stringify(line)).join("\n") + "\n"]));
    link.download = "scenario.jsonl";
    link.click();
    URL.revokeObjectURL(link.href);
  };
  const drop = async file => { if (file) await playScript(await file.text()); };
  $("script").onchange = () => drop($("script").files[0]);
  addEventListener("dragover", event => event.preventDefault());
  addEventListener("drop", event => { event.preventDefault(); drop(event.dataTransfer.files[0]); });
}

/** A bench script: JSON lines as `make rig` takes them. What is answered goes to the terminal. */
async function playScript(text) {
  const lines = text.split("\n").filter(line => line.trim());
  for (const [i, line] of lines.entries()) {
    try {
      const command = JSON.parse(line);
      if (command.cmd === "open" || command.cmd === "fleet") {
        const {cmd, board, ...given} = command;
        await start(given);
        continue;
      }
      const {module = 0, ...own} = command;
      if (!benches[module]) throw new Error(`module ${module}: the packs here are 0 to ${benches.length - 1}`);
      if (own.cmd === "set") { const {cmd, ...fields} = own; steps.push([Math.round(bench.us / 1000), fields, module]); }
      append(views[module], "terminal", JSON.stringify(await benches[module].play(own)).slice(0, 600) + "\n");
    } catch (error) {
      notice(`Line ${i + 1} of the script: ${error.message}`);
      return;
    }
  }
}

function shared() {
  try {
    return location.hash.length > 1 ? JSON.parse(atob(location.hash.slice(1))) : null;
  } catch {
    notice("The link is damaged; the page starts anew.");
    return null;
  }
}

if (!self.crossOriginIsolated) {
  if ("serviceWorker" in navigator) {
    await navigator.serviceWorker.register("sw.js");
    await navigator.serviceWorker.ready;
    if (!sessionStorage.reloaded) {
      sessionStorage.reloaded = "1";
      location.reload();
    } else notice("This browser does not isolate the page, so the simulation cannot run. Any current Firefox, Chrome, Edge or Safari can.");
  } else notice("The page needs https, or an address on this machine, to run.");
} else {
  delete sessionStorage.reloaded;
  navigator.serviceWorker?.register("sw.js");
  setUp();
  const given = shared();
  const first = given?.options ?? {profile: "am5000", seed: 1, spread: 1, plant: {soc: 0.6}};
  $("profile").value = first.profile;
  start(first, given?.steps).then(makePlots, error => notice(error.message));
  addEventListener("hashchange", () => { const next = shared(); if (next && !next.mine) start(next.options, next.steps); });
}
