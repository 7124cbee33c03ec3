// Light, dark, or what the system says. Kept in localStorage, for it is a matter of the screen and not of the session.
import { useEffect, useState } from "../vendor/htm-preact/standalone.module.js";

export const THEMES = ["auto", "light", "dark"];
const listeners = new Set();
const system = matchMedia("(prefers-color-scheme: dark)");
system.addEventListener("change", tell);

export function chosenTheme() {
  return document.documentElement.dataset.theme ?? "auto";
}

export function chooseTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    if (theme === "auto") localStorage.removeItem("theme");
    else localStorage.setItem("theme", theme);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  tell();
}

// "light" or "dark" as it is shown now; what draws on a canvas has to be drawn again when it changes.
export function useShownTheme() {
  const [shown, setShown] = useState(shownTheme());
  useEffect(() => {
    const look = () => setShown(shownTheme());
    listeners.add(look);
    return () => listeners.delete(look);
  }, []);
  return shown;
}

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function shownTheme() {
  const chosen = chosenTheme();
  return chosen === "auto" ? (system.matches ? "dark" : "light") : chosen;
}

function tell() {
  for (const listener of listeners) listener();
}
