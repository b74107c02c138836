// Shared by all pages: requests with the session's token, and short messages.
"use strict";

const csrf = document.querySelector("meta[name=csrf]").content;
const toastBox = document.getElementById("toast");
let toastTimer = 0;

function toast(text, bad = false) {
  toastBox.textContent = text;
  toastBox.className = bad ? "shown bad" : "shown";
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { toastBox.className = ""; }, bad ? 8000 : 2500);
}

async function send(url, options = {}) {
  const response = await fetch(url, { ...options, headers: { "X-CSRF-Token": csrf, ...options.headers } });
  if (!response.ok) {
    const { status, statusText } = response;
    throw Object.assign(new Error(plain(await response.text()) || statusText), { status });
  }
  return response;
}

function plain(html) {
  const line = new DOMParser().parseFromString(html, "text/html");
  return (line.querySelector(".error") || line.body).textContent.trim();
}

function why(error) {
  return error instanceof TypeError ? toastBox.dataset.offline : error.message;
}

// The address brings back what is shown: after a reload, from another page, in the other language.
function here(address) {
  history.replaceState(history.state, "", address);
  const language = document.querySelector("form.language");
  const to = new URL(language.action);
  to.searchParams.set("back", address);
  language.action = to;
}

async function copyText(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  // Over plain HTTP from another machine browsers offer no clipboard but this.
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

// What the page before has done.
if (toastBox.textContent) toast(toastBox.textContent);

// A form that is refused stays as it was filled in, and says why.
document.addEventListener("submit", async event => {
  const form = event.target;
  if (form.method !== "post") return;
  event.preventDefault();
  if (form.getAttribute("aria-busy") === "true") return;
  form.setAttribute("aria-busy", "true");
  form.querySelector(".refused")?.remove();
  // Until the page is left a second click sends nothing; who comes back may send again.
  addEventListener("pagehide", () => form.removeAttribute("aria-busy"), { once: true });
  try {
    location.assign((await send(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) })).url);
  } catch (error) {
    const line = document.createElement("p");
    line.className = "error refused";
    line.role = "alert";
    line.textContent = why(error);
    form.append(line);
    line.scrollIntoView({ block: "nearest" });
    form.removeAttribute("aria-busy");
  }
});

document.addEventListener("htmx:responseError", event => toast(plain(event.detail.xhr.responseText), true));
document.addEventListener("htmx:sendError", () => toast(toastBox.dataset.offline, true));
