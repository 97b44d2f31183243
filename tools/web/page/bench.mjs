// The bench in this page: commands as tools/rig.py takes them, answered by worker.mjs.

import {KIND, Pack, Splitter, checked, encode} from "./link.mjs";

const MEMORY_BYTES = 256 * 1024;
const SLICE_US = 100_000;           // an inverter acts between two of them
const LONG_US = 60_000_000;         // without one: a pack that rests is taken from event to event
const ANSWER_US = 1_000_000, WAIT_US = 5_000;
const ON_THE_BAR = ["charger_mv", "charger_ma", "load_ma", "load", "current_ma"];
const hex = bytes => Array.from(bytes, b => b.toString(16).padStart(2, "0")).join("");
const unhex = text => Uint8Array.from(text.match(/../g) ?? [], pair => parseInt(pair, 16));

export class BenchError extends Error {}

/** One pack with its chips, cells and wires. on: {can(frame), pcs(bytes), text(bytes), print(line),
 *  start()}, each called as things happen. */
export class Bench {
  /** fleet: null | the Fleet that it is in */
  constructor(pins, plants, on, fleet = null) {
    this.fleet = fleet;
    this.pins = pins;
    this.plants = plants;
    this.on = on;
    this.us = 0;
    this.boots = 0;
    this.powered = true;
    this.inverter = null;
    this._waiting = null;       // [done, failed] of the command that is on its way
    this._io = [];
    this._lane = fleet ?? {turn: Promise.resolve()};
    this._seq = 0x80;
    this._answers = new Map();
    this._splitter = new Splitter((seq, kind, payload) => this._answers.set(seq, [kind, payload]),
      bytes => on.text?.(bytes));
    this.pack = new Pack((kind, payload) => this._exchange(kind, payload));
  }

  /** options: {profile, seed, spread, dip, plant, uid}. */
  async open({profile = "am5000", seed = 1, spread = 1, dip = 0, plant = {}, uid = null} = {}) {
    this._memory = new SharedArrayBuffer(MEMORY_BYTES);
    this._words = new Int32Array(this._memory, 0, 2);
    this._bytes = new Uint8Array(this._memory, 8);
    this._worker = new Worker(new URL("./worker.mjs", import.meta.url), {type: "module"});
    const ready = new Promise((done, failed) => { this._ready = done; this._failed = failed; });
    this._worker.onmessage = ({data}) => this._message(data);
    this._worker.onerror = event => this._end(event.message);
    this._worker.postMessage(this._memory);
    await ready;
    const stand = {seed, spread, dip, rocker: 1, plant: {...this.plants[profile], ...plant}, profile};
    await this._ask({cmd: "open", stand, pins: this.pins, profile,
      firmware: ["/packctl/firmware", "/packctl/lib"], models: "/packctl/tools/models",
      ticks_start_ms: null, on: true, uid});
  }

  close() {
    this._worker?.terminate();
    this._end("closed");
  }

  _message(data) {
    if (data.ready) this._ready();
    else if (data.print !== undefined) this.on.print?.(data.print);
    else if (data.fatal) this._end(data.fatal);
    else {
      const answer = JSON.parse(data.answer), [done, failed] = this._waiting;
      this._waiting = null;
      if (answer.ok) done(answer);
      else failed(new BenchError(answer.error));
    }
  }

  _end(why) {
    this._failed?.(new BenchError(why));
    this._waiting?.[1](new BenchError(why));
    this._waiting = null;
  }

  /** One command of the worker; one at a time. */
  _ask(command) {
    const bytes = new TextEncoder().encode(JSON.stringify(command));
    if (bytes.length > this._bytes.length) {
      throw new BenchError(`${bytes.length} bytes; ${this._bytes.length} are the most`);
    }
    return new Promise((done, failed) => {
      this._waiting = [done, failed];
      this._bytes.set(bytes);
      this._words[1] = bytes.length;
      Atomics.add(this._words, 0, 1);
      Atomics.notify(this._words, 0);
    });
  }

  _slice(us) { return this.fleet ? this.fleet.slice(us) : this.chunk(us); }

  /** Let *us* pass; what others say on the wires comes in as *heard*. Returns the answer. */
  async chunk(us, heard = [], bar = {}) {
    const io = [...heard, ...this._io];
    this._io = [];
    const answer = await this._ask({cmd: "run", us, io, ...bar});
    this.us = answer.t_us;
    this.powered = answer.on;
    if (answer.inverter) this.inverter = answer.inverter;
    for (const [port, startUs, data] of answer.io) {
      const bytes = unhex(data);
      if (port === "debug") this._splitter.feed(bytes);
      else if (port === "can") {
        const id = new DataView(bytes.buffer).getUint32(0) & 0x1fffffff;
        this.on.can?.({tMs: startUs / 1000, id, data: bytes.slice(5, 5 + bytes[4])});
      } else this.on[port]?.(bytes);
    }
    if (answer.boots !== this.boots) {
      this.boots = answer.boots;
      this.pack.forget();
      this.on.start?.();
    }
    if (answer.crash) this.on.print?.(answer.crash);
    return answer;
  }

  /** All that lets time pass or talks to the pack, one after the other. */
  _inTurn(what) {
    const turn = this._lane.turn.then(what);
    this._lane.turn = turn.catch(() => {});
    return turn;
  }

  run(ms) {
    return this._inTurn(async () => {
      const end = this.us + Math.round(ms * 1000), most = this.inverter ? SLICE_US : LONG_US;
      do await this._slice(Math.min(most, end - this.us)); while (this.us < end);
    });
  }

  async _exchange(kind, payload = []) {
    const seq = this._seq;
    this._seq = seq < 0xff ? seq + 1 : 0x80;
    this._io.push(["debug", 0, hex(encode(seq, kind, payload)), null]);
    for (const end = this.us + ANSWER_US; this.us < end;) {
      await this._slice(WAIT_US);
      const answer = this._answers.get(seq);
      if (answer) {
        this._answers.delete(seq);
        return checked(kind, ...answer);
      }
    }
    throw new BenchError("the controller does not answer on its debug port");
  }

  /** what(pack), in turn. */
  talk(what) { return this._inTurn(() => what(this.pack)); }

  /** Bytes typed at the console. */
  type(text) { this._io.push(["debug", 0, hex(new TextEncoder().encode(text)), null]); }

  set(fields) {
    return this._inTurn(async () => {
      const {inverter, ...rest} = fields;
      if (inverter !== undefined) {
        const options = typeof inverter === "string" ? {port: inverter} : inverter ?? {port: null};
        await this._ask({cmd: "inverter", options});
        this.inverter = options.port === null ? null : {served: true, battery_w: 0, codes: []};
      }
      const {task_hang, task_raise, task_storm, ...others} = rest.fault ?? {};
      for (const [kind, task] of Object.entries({task_hang, task_raise, task_storm})) {
        if (task) {                         // the firmware does that to itself
          await this._exchange(KIND.provoke, new TextEncoder().encode(`${kind} ${task}`));
        }
      }
      if (rest.fault && !Object.keys(others).length) delete rest.fault;
      else if (rest.fault) rest.fault = others;
      if (this.fleet) {
        if ("reverse" in rest) throw new BenchError("reverse: the packs of a fleet share one bar; try one pack");
        const bar = {};
        for (const name of ON_THE_BAR) if (name in rest) { bar[name] = rest[name]; delete rest[name]; }
        if (Object.keys(bar).length) await this.fleet.wires({bar});
      }
      if (Object.keys(rest).length) await this._ask({cmd: "set", values: rest});
    });
  }

  state() { return this._inTurn(() => this._ask({cmd: "state"})); }
  reset() { return this._inTurn(() => this._ask({cmd: "reset"})); }
  power(on) { return this._inTurn(() => this._ask({cmd: "power", on})); }

  async trace(sinceMs = 0) {
    const edges = [];
    for (;;) {
      const page = (await this._inTurn(() => this._ask(
        {cmd: "edges", since_us: sinceMs * 1000, skip: edges.length, count: 500}))).edges;
      edges.push(...page);
      if (page.length < 500) return edges;
    }
  }

  /** One line of a bench script, as tools/rig.py takes it; `open` is the caller's. */
  async play(line) {
    const {cmd, ...fields} = line;
    switch (cmd) {
      case "run": await this.run(fields.ms); return {t_ms: this.us / 1000};
      case "set": await this.set(fields); return {};
      case "get": { const {wire, truth} = await this.state();
        return {t_ms: this.us / 1000, wire, truth, report: await this.talk(p => p.report())}; }
      case "trace": return {edges: await this.trace(fields.since_ms)};
      case "events": return {events: await this.talk(p => p.events(fields.since))};
      case "command": return {text: await this.talk(p => p.command(fields.text))};
      case "reset": await this.reset(); return {};
      case "power": await this.power(fields.on); return {};
      default: throw new BenchError(`a page has no command ${JSON.stringify(cmd)}; it has run, set, `
        + "get, trace, events, command, reset and power");
    }
  }
}

/** Packs on one parallel bus and one bus bar: addresses 1, 2, …; the first is the master. They run
 *  side by side, a chunk of time each; bus and bar live with the first one (fleet_wires.py). */
export class Fleet {
  /** on(i): the handlers of pack i. */
  constructor(count, pins, plants, on) {
    this.turn = Promise.resolve();
    this.packs = Array.from({length: count}, (_, i) => new Bench(pins, plants, on(i), this));
    this._wires = {hears: this.packs.map(() => [])};
  }

  async open({seed = 1, plant = {}, dip, ...options} = {}) {
    await Promise.all(this.packs.map((pack, i) => pack.open({...options, seed: seed + i,
      dip: dip?.[i] ?? i + 1, plant: Array.isArray(plant) ? plant[i] : plant,
      uid: hex(new TextEncoder().encode("PACK")) + (seed * 16 + i).toString(16).padStart(8, "0").slice(-8)})));
    await this.wires({count: this.packs.length, seed});
  }

  close() { for (const pack of this.packs) pack.close(); }

  async wires(fields) {
    this._wires = {...this._wires, ...await this.packs[0]._ask({cmd: "wires", ...fields})};
  }

  async slice(us) {
    for (let left = us; left > 0;) {
      const step = Math.min(left, this._wires.chunk_us), {hears, bar_mv, load_ma, only_ma} = this._wires;
      const answers = await Promise.all(this.packs.map((pack, i) => pack.chunk(step, hears[i],
        {bar_mv, bar_load_ma: load_ma, bar_only_ma: only_ma[i]})));
      const sent = answers.flatMap(({io}, i) => io.filter(([port]) => port === "parallel")
        .map(([, startUs, data, baud]) => [i, startUs, data, baud]));
      await this.wires({us: step, packs: answers.map(answer => answer.bar), sent,
        bar: answers[0].bar_fields ?? null});
      left -= step;
    }
  }
}
