// The strip that shows what the server's machine does.

import { bytes } from "./words.mjs";

export class Machine {
  #shownAt = 0;

  /** Shows a reading, by whichever pane it is heard first. */
  show(reading) {
    // Unless the server's clock was set back.
    if (reading.at <= this.#shownAt && reading.at > this.#shownAt - 60_000) return;
    this.#shownAt = reading.at;
    write("cpu", `${reading.cpu_percent.toFixed(0)} %`);
    write("memory", `${bytes(reading.memory_used_bytes)} of ${bytes(reading.memory_total_bytes)}`);
    write("load", reading.load_1_minute.toFixed(2));
    write("received", `${bytes(reading.received_bytes_per_second)}/s`);
    write("sent", `${bytes(reading.sent_bytes_per_second)}/s`);
  }
}

function write(name, text) {
  document.querySelector(`[data-machine="${name}"]`).textContent = text;
}
