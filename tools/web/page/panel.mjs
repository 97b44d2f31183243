// The front panel as on the case, drawn, and its buzzer.

const LAMPS = [["run", "RUN", 262, "#2fd06b"], ["alm", "ALM", 306, "#ff5147"]];

export class Panel {
  constructor(place) {
    const caps = Array.from({length: 6}, (_, i) => `<circle id="lamp-cap${i}" cx="${36 + 34 * i}" cy="46" r="8"/>`
      + `<text x="${36 + 34 * i}" y="70">L${i + 1}</text>`).join("");
    place.innerHTML = `<svg viewBox="0 0 420 130" role="img" aria-labelledby="panel-words">
      <title id="panel-words">Front panel</title>
      <style>circle{fill:var(--lamp-off);stroke:#7c8a86;stroke-width:1}text{fill:#d8e6e1;font:11px system-ui,sans-serif;text-anchor:middle}
        .on{filter:drop-shadow(0 0 5px currentColor)}</style>
      <rect x="2" y="2" width="416" height="126" rx="10" fill="var(--case)" stroke="var(--line)"/>
      <text x="121" y="26">CAPACITY</text>${caps}
      ${LAMPS.map(([id, name, x]) => `<circle id="lamp-${id}" cx="${x}" cy="46" r="8"/><text x="${x}" y="70">${name}</text>`).join("")}
      <circle id="lamp-onoff" cx="350" cy="46" r="8"/><text x="350" y="70">ON/OFF</text>
      <text id="beep" x="392" y="52" style="font-size:22px" visibility="hidden">♪</text>
      <text x="36" y="100" style="text-anchor:start" id="contacts"></text>
    </svg>`;
    this.place = place;
    this.loud = false;
    this.beeps = false;
  }

  show(wire, powered) {
    const lamps = wire.lamps, put = (id, on, colour) => {
      const lamp = this.place.querySelector("#lamp-" + id);
      lamp.style.fill = on && powered ? colour : "";
      lamp.style.color = colour;
      lamp.classList.toggle("on", Boolean(on && powered));
      lamp.dataset.on = on && powered ? 1 : 0;
    };
    lamps.cap.forEach((on, i) => put("cap" + i, on, "#2fd06b"));
    for (const [id, , , colour] of LAMPS) put(id, lamps[id], colour);
    put("onoff", lamps.onoff, "#58a8ff");
    this.place.querySelector("#contacts").textContent =
      `DO1 ${wire.do[0] ? "closed" : "open"}   DO2 ${wire.do[1] ? "closed" : "open"}` + (wire.limiter ? "   10 A limiter in" : "");
    const lit = lamps.cap.filter(Boolean).length;
    this.place.querySelector("#panel-words").textContent =
      `Front panel: ${lit} of 6 capacity lamps, RUN ${lamps.run ? "on" : "off"}, ALM ${lamps.alm ? "on" : "off"}`;
    this.place.querySelector("#beep").setAttribute("visibility", wire.buzzer && powered ? "visible" : "hidden");
    this.beep(Boolean(wire.buzzer && powered));
  }

  sound(loud) {
    this.loud = loud;
    if (loud && !this.audio) {
      this.audio = new AudioContext();
      this.gain = this.audio.createGain();
      this.gain.gain.value = 0;
      const tone = this.audio.createOscillator();
      tone.frequency.value = 2700;
      tone.connect(this.gain).connect(this.audio.destination);
      tone.start();
    }
    this.beep(this.beeps);
  }

  beep(on) {
    this.beeps = on;
    if (this.gain) this.gain.gain.value = on && this.loud ? 0.06 : 0;
  }
}
