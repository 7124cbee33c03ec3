// Figures and times as people read them, in the viewer's language and time zone.

const whole = new Intl.NumberFormat();
const oneDigit = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const percents = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const signed = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2, minimumFractionDigits: 2, signDisplay: "exceptZero" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const clockSeconds = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const utcDay = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" });

export const number = (value) => whole.format(value);
export const decimal = (value) => oneDigit.format(value);
export const percent = (share) => percents.format(share);
export const score = (value) => signed.format(value);
export const localMoment = (ms) => moment.format(ms);
export const localClock = (ms) => clock.format(ms);
export const localSeconds = (ms) => clockSeconds.format(ms);
export const localDay = (ms) => day.format(ms);
// Days of a brand are UTC days: shown in another zone they would become the day before.
export const dayOf = (date) => utcDay.format(Date.parse(`${date}T12:00:00Z`));
export const utc = (ms) => `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")} UTC`;

// Money comes as exact decimal text and stays exact: digits are cut only behind the sixth.
export function usd(text) {
  const [units, fraction = ""] = text.split(".");
  return `$${units}.${fraction.slice(0, 6).replace(/0+$/, "").padEnd(2, "0")}`;
}

export function duration(seconds) {
  if (seconds < 1) return "under 1 s";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

// A link somebody else wrote is followed only where it leads to the web.
export function webLink(text) {
  try {
    const url = new URL(text);
    return url.protocol === "https:" || url.protocol === "http:" ? url.href : null;
  } catch {
    return null;
  }
}

export function words(name) {
  const text = String(name).replaceAll("_", " ").toLowerCase();
  return text.charAt(0).toUpperCase() + text.slice(1);
}
