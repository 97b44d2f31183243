// The framed protocol of the debug port (docs/protocol.md): frames, schema, report, events.

const SOF = 0xb5, VERSION = 1, OVERHEAD = 8, LONGEST = 1024;
export const KIND = {hello: 1, schema: 2, report: 3, events: 4, eventSchema: 5, list: 6, get: 7,
  set: 8, restore: 9, command: 10, provoke: 11, names: 12};
const ANSWER = 0x80, ERROR = 0xff;
const SIZE = {B: 1, H: 2, I: 4, b: 1, h: 2, i: 4};
const NONE = {B: 0xff, H: 0xffff, I: 0xffffffff, b: -0x80, h: -0x8000, i: -0x80000000};
const READ = {B: "getUint8", H: "getUint16", I: "getUint32", b: "getInt8", h: "getInt16",
  i: "getInt32"};
// numbers of an event are those of the list of names, by what the event tells
const NUMBERED = {alarm: "item", alarm_clear: "item", trip: "item", release: "item", lock: "item",
  unlock: "item", fault: "fault", fault_clear: "fault", first_out: "first_out"};
const text = new TextDecoder();

export class Refused extends Error {}

function crc16(bytes, from, to) {
  let crc = 0xffff;
  for (let i = from; i < to; i++) {
    crc ^= bytes[i] << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1) & 0xffff;
  }
  return crc;
}

export function encode(seq, kind, payload = []) {
  const frame = new Uint8Array(payload.length + OVERHEAD);
  frame.set([SOF, VERSION, seq, kind, payload.length & 0xff, payload.length >> 8]);
  frame.set(payload, 6);
  const crc = crc16(frame, 1, frame.length - 2);
  frame.set([crc & 0xff, crc >> 8], frame.length - 2);
  return frame;
}

/** Takes the stream of the port apart: frames to onFrame(seq, kind, payload), the rest to onText. */
export class Splitter {
  constructor(onFrame, onText) {
    this.onFrame = onFrame;
    this.onText = onText;
    this.held = new Uint8Array(0);
  }

  feed(bytes) {
    const data = new Uint8Array(this.held.length + bytes.length);
    data.set(this.held);
    data.set(bytes, this.held.length);
    let from = 0, at = 0;
    const give = () => { if (at > from) this.onText(data.subarray(from, at)); };
    while (at < data.length) {
      if (data[at] !== SOF) { at++; continue; }
      if (at + 1 < data.length && data[at + 1] !== VERSION) { at++; continue; }
      if (data.length - at < 6) break;
      const length = data[at + 4] | data[at + 5] << 8, end = at + length + OVERHEAD;
      if (length > LONGEST) { at++; continue; }
      if (end > data.length) break;
      if (crc16(data, at + 1, end - 2) !== (data[end - 2] | data[end - 1] << 8)) { at++; continue; }
      give();
      this.onFrame(data[at + 2], data[at + 3], data.slice(at + 6, end - 2));
      from = at = end;
    }
    give();
    this.held = data.slice(at);
  }
}

/** Layout of a record, from lines name;type;count;unit;meaning. */
class Schema {
  constructor(lines) {
    this.fields = lines.split("\n").filter(Boolean).map(line => {
      const [name, letter, count, unit] = line.split(";");
      const [kind, names] = unit.split(/:(.*)/s);
      return {name, letter, count: +count, kind, names: names ? names.split("|") : []};
    });
    this.size = this.fields.reduce((sum, f) => sum + SIZE[f.letter] * f.count, 0);
  }

  decode(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset), record = {};
    let at = 0;
    for (const field of this.fields) {
      const values = [];
      for (let i = 0; i < field.count; i++, at += SIZE[field.letter]) {
        values.push(value(field, view[READ[field.letter]](at, true)));
      }
      record[field.name] = field.count === 1 ? values[0] : values;
    }
    return record;
  }
}

function value(field, raw) {
  if (field.kind === "bits") {
    const width = 8 * SIZE[field.letter], up = [];
    if (raw === NONE[field.letter] && field.names.length < width) return null;
    for (let bit = 0; bit < width; bit++) {
      if (raw / 2 ** bit & 1) up.push(field.names[bit] || "bit" + bit);
    }
    return up;
  }
  if (raw === NONE[field.letter]) return null;
  return field.kind === "enum" ? field.names[raw] ?? raw : raw;
}

/** The pack as an object. exchange(kind, payload) is a promise of the answer's payload. */
export class Pack {
  constructor(exchange) {
    this.exchange = exchange;
    this.forget();
  }

  /** After a start of the pack: ask for everything anew. */
  forget() {
    this._schema = this._eventSchema = this._names = this._params = null;
  }

  async _pages(kind) {
    let lines = "", page = 0;
    do {
      const answer = await this.exchange(kind, [page]);
      lines += text.decode(answer.subarray(1)) + "\n";
      page = answer[0];
    } while (page);
    return lines;
  }

  async report() {
    const answer = await this.exchange(KIND.report);
    this._schema ??= new Schema(await this._pages(KIND.schema));
    if (answer.length - 2 !== this._schema.size) {      // another program than before
      this._schema = null;
      return this.report();
    }
    const report = this._schema.decode(answer.subarray(2));
    report.faults = [...(report.faults ?? []), ...(report.faults_more ?? [])];
    const names = await this.names(), first = names["first_out:" + report.first_out];
    report.words = Object.fromEntries(
      [...report.alarms ?? [], ...report.protections ?? [], ...report.faults, ...report.locked ?? []]
        .map(id => [id, names["id:" + id] ?? id]));
    report.first_out = first ? first.id : null;
    return report;
  }

  async names() {
    if (!this._names) {
      this._names = {};
      for (const line of (await this._pages(KIND.names)).split("\n").filter(Boolean)) {
        const [kind, number, first, id, unit, ...words] = line.split(";");
        const name = {id, unit, words: words.join(";")};
        this._names[kind + ":" + number] = this._names["first_out:" + first] = name;
        this._names["id:" + id] = name.words;
      }
    }
    return this._names;
  }

  /** Records after number *since*, oldest first, with the words of what they happened to. */
  async events(since = 0) {
    this._eventSchema ??= new Schema(await this._pages(KIND.eventSchema));
    const names = await this.names(), size = this._eventSchema.size, records = [];
    for (;;) {
      const last = records.length ? records.at(-1).seq : since;
      const ask = new DataView(new ArrayBuffer(5));
      ask.setUint32(0, last, true);
      ask.setUint8(4, Math.floor((LONGEST - 1) / size));
      const answer = await this.exchange(KIND.events, new Uint8Array(ask.buffer));
      const count = answer[0] ?? 0;
      const fresh = [];
      for (let i = 0; i < count; i++) {
        const record = this._eventSchema.decode(answer.subarray(1 + i * size, 1 + (i + 1) * size));
        if (record.seq > last) fresh.push(record);
      }
      if (!fresh.length) return records;
      for (const record of fresh) {
        const name = names[NUMBERED[record.event] + ":" + record.item];
        records.push({...record, id: name?.id, words: name?.words ?? this._state(record), unit: name?.unit});
      }
    }
  }

  /** The state that an event of a change of state tells of. */
  _state(record) {
    if (record.event !== "state") return null;
    return this._schema?.fields.find(field => field.name === "state")?.names[record.item] ?? null;
  }

  /** A line of the console; its text. */
  async command(line) {
    return text.decode(await this.exchange(KIND.command, new TextEncoder().encode(line)));
  }
}

/** Payload of an answer, or Refused with the pack's own words. */
export function checked(kind, answerKind, payload) {
  if (answerKind === ERROR) throw new Refused(text.decode(payload.subarray(2)));
  if (answerKind !== (kind | ANSWER)) throw new Error(`an answer of type ${answerKind}`);
  return payload;
}
