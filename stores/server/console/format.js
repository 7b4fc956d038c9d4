// Numbers, times and sizes as text. Integers beyond 2^53 come as BigInt and are shown to the last digit.

const whole = new Intl.NumberFormat("en-GB");
const three = new Intl.NumberFormat("en-GB", { maximumSignificantDigits: 3 });
const four = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 4 });
export const NONE = "\u2013";

const absent = (n) => n === null || n === undefined || (typeof n === "number" && !Number.isFinite(n));

/** Every digit, in groups. */
export function num(n) {
  if (absent(n)) return NONE;
  return typeof n === "bigint" || Number.isInteger(n) ? whole.format(n) : four.format(n);
}

/** Three digits and a unit: 1.24 M. */
export function short(n) {
  if (absent(n)) return NONE;
  let value = Number(n);
  for (const unit of ["", " k", " M", " G", " T"]) {
    if (Math.abs(value) < 999.5) return three.format(Math.abs(value) < 0.005 ? 0 : value) + unit;
    value /= 1000;
  }
  return `${three.format(value)} P`;
}

/** So many a second. */
export function rate(n) {
  if (absent(n)) return NONE;
  return n === 0 ? "0/s" : `${n < 10 ? (n < 0.1 ? "<0.1" : n.toFixed(1)) : short(n)}/s`;
}

export function bytes(n) {
  if (absent(n)) return NONE;
  let value = Number(n);
  for (const unit of ["B", "KiB", "MiB", "GiB", "TiB"]) {
    if (value < 999.5) return `${three.format(value)} ${unit}`;
    value /= 1024;
  }
  return `${three.format(value)} PiB`;
}

/** A length of time, to two units. */
export function span(ms) {
  if (absent(ms)) return NONE;
  if (ms < 0) return `\u2212${span(-ms)}`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  const days = Math.floor(hours / 24);
  return days < 100 && hours % 24 ? `${days} d ${hours % 24} h` : `${whole.format(days)} d`;
}

const iso = (ms) => {
  const date = new Date(Number(ms));
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
};

/** 2026-11-22 17:01:29, in UTC. */
export const time = (ms) => (absent(ms) ? NONE : (iso(ms)?.slice(0, 19).replace("T", " ") ?? NONE));
/** 17:01:29, in UTC. */
export const clock = (ms) => (absent(ms) ? NONE : (iso(ms)?.slice(11, 19) ?? NONE));

/** How long ago. */
export function ago(ms, now) {
  if (absent(ms)) return NONE;
  const past = Number(now) - Number(ms);
  return past < 0 ? "just now" : past < 950 ? "just now" : `${span(past)} ago`;
}

/** A batch as people say it: by its time where it has one. */
export function batch(number, batchMs, offset = 0) {
  if (absent(number)) return NONE;
  if (!batchMs || typeof number !== "number") return String(number);
  const text = iso(number * batchMs + offset);
  if (!text) return String(number);
  if (batchMs % 86_400_000 === 0 && offset % 86_400_000 === 0) return text.slice(0, 10);
  return batchMs % 3_600_000 === 0 ? text.slice(0, 13).replace("T", " ") + "h" : text.slice(0, 16).replace("T", " ");
}

export const plural = (n, one, many = `${one}s`) => `${num(n)} ${Number(n) === 1 ? one : many}`;
