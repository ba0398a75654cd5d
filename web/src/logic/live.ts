/** Frames of the live connection, and how long they take. */

export interface Answer {
  frame: number;
  milliseconds: number;
  picture: ArrayBuffer;
}

/** What comes back: number of the frame and working time, four bytes each, then a JPEG. */
export function parseAnswer(data: ArrayBuffer): Answer {
  if (data.byteLength < 8) throw new Error("a live frame is shorter than its header");
  const view = new DataView(data);
  return { frame: view.getUint32(0), milliseconds: view.getUint32(4), picture: data.slice(8) };
}

const WINDOW = 2000;
/** Milliseconds after which a frame without an answer is taken for lost. */
const LOST = 3000;

/** Knows which frames are out: no queue builds up, and the delay is what a person sees. */
export class Flight {
  private sent: number[] = [];
  private answers: number[] = [];
  delay = 0;
  dropped = 0;

  constructor(
    private readonly most = 2,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Whether another frame may go out; where not, it is left out. */
  room(): boolean {
    const now = this.now();
    this.sent = this.sent.filter((time) => now - time < LOST);
    if (this.sent.length < this.most) return true;
    this.dropped += 1;
    return false;
  }

  out(time: number): void {
    this.sent.push(time);
  }

  /** The answer to the frame that has been out for longest. */
  back(time: number): void {
    const begin = this.sent.shift();
    if (begin !== undefined) this.delay = this.delay ? this.delay * 0.8 + (time - begin) * 0.2 : time - begin;
    this.answers = [...this.answers.filter((old) => time - old < WINDOW), time];
  }

  /** Answers per second, over the last two seconds. */
  rate(time: number): number {
    const recent = this.answers.filter((old) => time - old < WINDOW);
    if (recent.length < 2) return 0;
    return ((recent.length - 1) * 1000) / (recent.at(-1)! - recent[0]!);
  }
}
