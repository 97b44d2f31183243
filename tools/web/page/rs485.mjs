// What the pack says on RS485, in words: the Pylontech protocol of the inverter's port.

const ADDRESS = 2, CODE = 6, INFO = 12, SUM = 4;        // characters from the front, of the end
const WRONG = {"01": "version", "02": "checksum", "03": "length's checksum", "04": "command", "05": "format",
  "06": "data", "90": "address", "91": "inside"};
const text = new TextDecoder("latin1");
const signed = raw => raw & 0x8000 ? raw - 0x10000 : raw;
const kelvin = raw => ((raw - 2731) / 10).toFixed(1) + " °C";
const volts = raw => (raw / 1000).toFixed(2) + " V";

/** Lines for what *bytes* end; *view*.heard keeps what has not ended. */
export function words(view, bytes) {
  view.heard += text.decode(bytes);
  const frames = view.heard.split("\r");
  view.heard = frames.pop().slice(-2000);
  return frames.map(frame => frame + "\n" + meaning(frame) + "\n\n").join("");
}

function meaning(frame) {
  if (!/^~[0-9A-F]{16,}$/.test(frame)) return "  not a frame of Pylontech's";
  const body = frame.slice(1), sum = Array.from(body.slice(0, -SUM)).reduce((all, c) => all + c.charCodeAt(0), 0);
  if (sum + parseInt(body.slice(-SUM), 16) & 0xffff) return "  its checksum is wrong";
  const from = `  address ${parseInt(body.slice(ADDRESS, ADDRESS + 2), 16)}: `, code = body.slice(CODE, CODE + 2);
  if (code !== "00") return from + "refused, wrong " + (WRONG[code] ?? "code " + code);
  const info = body.slice(INFO, -SUM), byte = i => parseInt(info.slice(2 * i, 2 * i + 2), 16);
  const word = i => byte(i) << 8 | byte(i + 1);
  switch (info.length / 2) {
    case 49: return from + `${volts(word(0))}, ${(signed(word(2)) / 100).toFixed(1)} A, charge ${byte(4)} %, health ${byte(9)} %, `
      + `cells ${volts(word(15))} to ${volts(word(11))}, ${kelvin(word(25))} to ${kelvin(word(21))}`;
    case 4: return from + ([0, 1, 2, 3].some(byte) ? "alarms and protections, bits " + info : "no alarm, no protection");
    case 9: return from + `charge to ${volts(word(0))} with ${word(4) / 10} A, discharge to ${volts(word(2))} with `
      + `${Math.abs(signed(word(6))) / 10} A; charge ${byte(8) & 0x80 ? "allowed" : "forbidden"}, discharge ${byte(8) & 0x40 ? "allowed" : "forbidden"}`;
    default: return from + `${info.length / 2} bytes`;
  }
}
