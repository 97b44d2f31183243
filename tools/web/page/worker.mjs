// The interpreter: firmware, cells, chips and wires, in a thread of their own.
//
// Commands come in through shared memory, because the simulated controller stands still in the
// middle of what it does until the next one is there. Answers go out as messages.

import {loadMicroPython} from "./micropython.mjs";

const HEAP_BYTES = 24 << 20;

onmessage = async ({data: memory}) => {
  try {
    const words = new Int32Array(memory, 0, 2), bytes = new Uint8Array(memory, 8);
    const text = new TextDecoder();
    const {files} = await (await fetch("bundle.json")).json();
    const mp = await loadMicroPython({url: new URL("micropython.wasm", import.meta.url).href,
      heapsize: HEAP_BYTES, linebuffer: true, stdout: line => postMessage({print: line})});
    for (const [path, source] of Object.entries(files)) {
      mp.FS.mkdirTree(path.slice(0, path.lastIndexOf("/")));
      mp.FS.writeFile(path, source);
    }
    let seen = 0;
    mp.registerJsModule("page", {
      readline() {
        Atomics.wait(words, 0, seen);
        seen = Atomics.load(words, 0);
        return text.decode(bytes.slice(0, words[1]));
      },
      write(line) { postMessage({answer: line}); },
    });
    postMessage({ready: true});
    mp.runPython('import sys\nsys.path.insert(0, "/packctl/tools/web/page")\nimport page_bench\npage_bench.run()');
  } catch (error) {
    postMessage({fatal: String(error)});
  }
};
