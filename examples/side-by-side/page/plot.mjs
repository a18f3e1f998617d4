// A small live plot of latencies: the last minute from left to right, and from 0.1 ms to 10 s upwards by powers of ten.

const span = 60_000;
const lowest = -1; // 10 ** -1 ms
const highest = 4;
const lines = [
  [0, "1 ms"],
  [2, "100 ms"],
  [4, "10 s"],
];

/** Who wants less motion sees the plot move on once a second. */
const wantsCalm = matchMedia("(prefers-reduced-motion: reduce)");

export class Plot {
  #canvas;
  #context;
  #drawnAt = 0;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
  }

  /** @param {import("./latencies.mjs").Latencies} latencies */
  draw(latencies, now) {
    if (wantsCalm.matches && now - this.#drawnAt < 1_000) return;
    this.#drawnAt = now;
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const context = this.#context;
    // One pixel of ours is as many of the screen's as it takes to be sharp.
    const scale = devicePixelRatio;
    if (this.#canvas.width !== Math.round(width * scale) || this.#canvas.height !== Math.round(height * scale)) {
      this.#canvas.width = Math.round(width * scale);
      this.#canvas.height = Math.round(height * scale);
    }
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);

    const style = getComputedStyle(this.#canvas);
    const top = 8;
    const y = (power) => top + (height - top - 3) * ((highest - power) / (highest - lowest));
    context.font = `11px ${style.fontFamily}`;
    context.textBaseline = "middle";
    context.lineWidth = 1;
    const left = 46;
    for (const [power, name] of lines) {
      const at = Math.round(y(power)) + 0.5;
      context.strokeStyle = style.getPropertyValue("--line");
      context.beginPath();
      context.moveTo(left, at);
      context.lineTo(width, at);
      context.stroke();
      context.fillStyle = style.getPropertyValue("--faint");
      context.fillText(name, 0, at);
    }

    context.fillStyle = style.getPropertyValue("--accent");
    let drawnX, drawnY;
    for (const { at, latency } of latencies.since(now - span)) {
      const power = Math.min(highest, Math.max(lowest, Math.log10(Math.max(latency, 0.01))));
      const pointX = Math.round(left + 2 + (width - left - 4) * (1 - (now - at) / span));
      const pointY = Math.round(y(power));
      // Of a burst hundreds fall on one pixel.
      if (pointX === drawnX && pointY === drawnY) continue;
      [drawnX, drawnY] = [pointX, pointY];
      context.fillRect(pointX - 1, pointY - 1, 2.5, 2.5);
    }
  }
}
