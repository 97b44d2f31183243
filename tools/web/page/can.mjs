// CAN frames in words, by the tables that docs/packctl.dbc is made of.

export class Decoder {
  /** messages: {id: [[name, first bit, bits, big-endian, signed, factor, offset, unit]]} */
  constructor(messages) { this.messages = messages; }

  words(id, bytes) {
    const said = [];
    for (const [name, first, bits, big, signed, factor, offset, unit] of this.messages[id] ?? []) {
      let raw = 0n;
      for (let i = 0; i < bits; i++) {
        const at = big ? bigBit(first, i) : first + i;
        if (at >> 3 >= bytes.length) { raw = null; break; }
        const bit = BigInt(bytes[at >> 3] >> (at & 7) & 1);
        raw = big ? raw << 1n | bit : raw | bit << BigInt(i);
      }
      if (raw === null) continue;
      if (signed && raw >> BigInt(bits - 1)) raw -= 1n << BigInt(bits);
      const letter = /^(.*)_(\d)$/.exec(name);           // text: a signal for each character
      if (letter) {
        if (letter[2] === "0") said.push(letter[1] + " ");
        said.push(said.pop() + String.fromCharCode(Number(raw)));
        continue;
      }
      const value = +(Number(raw) * factor + offset).toFixed(3);
      said.push(`${name.replaceAll("_", " ")} ${value}${unit ? " " + unit : ""}`);
    }
    return said.join(", ");
  }
}

/** Bit number *i* of a big-endian signal that begins with bit *first* of the DBC's numbering. */
function bigBit(first, i) {
  const inByte = first & 7, into = 7 - inByte + i;
  return ((first >> 3) + (into >> 3)) * 8 + 7 - (into & 7);
}
