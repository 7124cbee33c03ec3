// The API key: asked for when the service refuses a request, kept in this tab only (sessionStorage).
import { useEffect, useState } from "../vendor/htm-preact/standalone.module.js";

const NAME = "api-key";
const listeners = new Set();
let key = read();
// "" until a request was refused; then why the key is asked for.
let wanted = "";

export function currentKey() {
  return key;
}

export function giveKey(text) {
  key = text;
  wanted = "";
  try {
    sessionStorage.setItem(NAME, text);
  } catch {
    // Without storage the key lasts until the page is loaded again.
  }
  tell();
}

export function forgetKey() {
  key = null;
  wanted = "The key was forgotten.";
  try {
    sessionStorage.removeItem(NAME);
  } catch {
    // Nothing was kept.
  }
  tell();
}

// A request sent with `used` was refused. An answer to an older key says nothing about the present one.
export function keyRefused(used, why) {
  if (used !== key || wanted) return;
  wanted = used === null ? "This service asks for an API key." : `The key was not accepted: ${why}`;
  tell();
}

export function useKey() {
  const [, again] = useState({});
  useEffect(() => {
    const look = () => again({});
    listeners.add(look);
    look();
    return () => listeners.delete(look);
  }, []);
  return { key, wanted };
}

function read() {
  try {
    return sessionStorage.getItem(NAME);
  } catch {
    return null;
  }
}

function tell() {
  for (const listener of listeners) listener();
}
