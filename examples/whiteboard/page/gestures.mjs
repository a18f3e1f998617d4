// Pointers, wheels and fingers on the surface: what moves the view is done here, the rest goes to the tool.

/**
 * @typedef {object} At
 * @property {{ x: number, y: number }} screen
 * @property {{ x: number, y: number }} board
 * @property {{ x: number, y: number }[]} trail on the board: all that the pointer came through since the last time
 * @property {PointerEvent} event
 * @property {EventTarget | null} target
 */

/**
 * @typedef {object} Tool
 * @property {string} cursor
 * @property {boolean} [pansByFinger] whether one finger on an empty place moves the view
 * @property {(at: At) => void} down
 * @property {(at: At) => void} move
 * @property {(at: At) => void} up
 * @property {() => void} cancel
 * @property {(at: At) => void} [double]
 * @property {() => void} [touchedNothing] a finger that moves the view began on an empty place
 */

/** Between two taps that are one, in milliseconds: what desktops allow by default. */
const doubleTime = 500;
const doubleDistance = 12;

export class Gestures {
  #root;
  #surface;
  #camera;
  #toolAtHand;
  /** The one that the pointer began with, and that hears of it until it ends: keys may change what is at hand. @type {Tool | undefined} */
  #tool;
  #moved;
  /** @type {Map<number, { x: number, y: number }>} */
  #pointers = new Map();
  /** What the pointers are doing. @type {"pan" | "pinch" | "tool" | undefined} */
  #doing;
  #isSpaceDown = false;
  #lastTap = { time: 0, x: 0, y: 0 };

  /**
   * @param {HTMLElement} root
   * @param {import("./surface.mjs").Surface} surface
   * @param {import("./camera.mjs").Camera} camera
   * @param {() => Tool | undefined} toolAtHand without one the view moves
   * @param {() => void} moved the user has moved the view
   */
  constructor(root, surface, camera, toolAtHand, moved = () => {}) {
    this.#root = root;
    this.#surface = surface;
    this.#camera = camera;
    this.#toolAtHand = toolAtHand;
    this.#moved = moved;
    root.addEventListener("pointerdown", (event) => this.#down(event));
    root.addEventListener("pointermove", (event) => this.#move(event));
    root.addEventListener("pointerup", (event) => this.#up(event));
    root.addEventListener("pointercancel", (event) => this.#up(event, true));
    root.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    root.addEventListener("contextmenu", (event) => event.preventDefault());
    // Focus would scroll to an element; the camera does that.
    root.addEventListener("scroll", () => root.scrollTo(0, 0));
    addEventListener("blur", () => this.holdSpace(false));
    this.showCursor();
  }

  /** The space bar turns any tool into a hand. */
  holdSpace(isDown) {
    this.#isSpaceDown = isDown;
    this.showCursor();
  }

  showCursor() {
    this.#root.style.cursor = this.#doing === "pan" ? "grabbing" : this.#isSpaceDown ? "grab" : (this.#toolAtHand()?.cursor ?? "grab");
  }

  cancel() {
    if (this.#doing === "tool") this.#tool.cancel();
    this.#doing = undefined;
  }

  #down(event) {
    if (event.target instanceof HTMLTextAreaElement || event.target.closest("button, a")) return;
    const point = this.#surface.pointOf(event);
    this.#pointers.set(event.pointerId, point);
    try {
      this.#root.setPointerCapture(event.pointerId);
    } catch {
      // It is gone already.
    }
    if (this.#pointers.size === 2) {
      this.cancel();
      this.#doing = "pinch";
      return;
    }
    if (this.#pointers.size > 2) return;
    const tool = this.#toolAtHand();
    this.#tool = tool;
    const isEmpty = this.#surface.idOf(event.target) === undefined && !event.target.closest("[data-handle]");
    const pans = !tool || event.button === 1 || this.#isSpaceDown || (event.pointerType === "touch" && tool.pansByFinger && isEmpty);
    // Only a note's text wants to be selected by the pointer, and it has its own field.
    event.preventDefault();
    if (!pans && event.button !== 0) return this.#pointers.delete(event.pointerId);
    this.#doing = pans ? "pan" : "tool";
    if (pans && tool?.pansByFinger && event.button === 0 && !this.#isSpaceDown) tool.touchedNothing?.();
    if (!pans) {
      this.#root.focus({ preventScroll: true });
      tool.down(this.#at(event));
    }
    this.showCursor();
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const point = this.#surface.pointOf(event);
    if (this.#doing === "pinch") this.#pinch(event.pointerId, point);
    this.#pointers.set(event.pointerId, point);
    if (this.#doing === "pan") {
      this.#camera.pan(point.x - before.x, point.y - before.y);
      this.#moved();
    }
    if (this.#doing === "tool") this.#tool.move(this.#at(event));
  }

  #up(event, isCancelled = false) {
    if (!this.#pointers.delete(event.pointerId)) return;
    const at = this.#at(event);
    const doing = this.#doing;
    if (this.#pointers.size === 0) this.#doing = undefined;
    // One finger of two goes on by moving the view.
    else if (doing === "pinch" && this.#pointers.size === 1) this.#doing = "pan";
    if (doing === "tool") {
      if (isCancelled) this.#tool.cancel();
      else this.#tool.up(at);
    }
    if (!isCancelled && (doing === "tool" || doing === "pan")) this.#tap(at);
    this.showCursor();
  }

  #tap(at) {
    const { x, y } = at.screen;
    const last = this.#lastTap;
    const isDouble = at.event.timeStamp - last.time < doubleTime && Math.hypot(x - last.x, y - last.y) < doubleDistance;
    this.#lastTap = isDouble ? { time: 0, x: 0, y: 0 } : { time: at.event.timeStamp, x, y };
    if (isDouble && at.event.button === 0) this.#tool?.double?.(at);
  }

  #pinch(pointerId, point) {
    const moving = this.#pointers.get(pointerId);
    const [, still] = [...this.#pointers].find(([id]) => id !== pointerId) ?? [];
    if (!still) return;
    const middle = (a) => ({ x: (a.x + still.x) / 2, y: (a.y + still.y) / 2 });
    const spread = (a) => Math.max(10, Math.hypot(a.x - still.x, a.y - still.y));
    const [from, to] = [middle(moving), middle(point)];
    this.#camera.pan(to.x - from.x, to.y - from.y);
    this.#camera.zoomTo(this.#camera.zoom * (spread(point) / spread(moving)), to);
    this.#moved();
  }

  #wheel(event) {
    if (event.target instanceof HTMLTextAreaElement && !event.ctrlKey) return;
    event.preventDefault();
    const unit = [1, 20, 400][event.deltaMode];
    const [dx, dy] = [event.deltaX * unit, event.deltaY * unit];
    this.#moved();
    if (event.ctrlKey || event.metaKey) {
      // A mouse's wheel goes in large steps, two fingers in small ones.
      const step = Math.max(-60, Math.min(60, dy));
      this.#camera.zoomTo(this.#camera.zoom * Math.exp(-step * 0.008), this.#surface.pointOf(event));
    } else if (event.shiftKey && dx === 0) this.#camera.pan(-dy, 0);
    else this.#camera.pan(-dx, -dy);
  }

  /** @returns {At} */
  #at(event) {
    const screen = this.#surface.pointOf(event);
    const passed = event.type === "pointermove" ? (event.getCoalescedEvents?.() ?? []) : [];
    const trail = (passed.length > 0 ? passed : [event]).map((each) => this.#camera.toBoard(this.#surface.pointOf(each)));
    // A captured pointer's events are all told to the surface.
    const target = event.type === "pointerup" ? document.elementFromPoint(event.clientX, event.clientY) : event.target;
    return { screen, board: this.#camera.toBoard(screen), trail, event, target };
  }
}
