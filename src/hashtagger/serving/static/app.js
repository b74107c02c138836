// Shared by all pages: requests with the CSRF token, and toast messages.
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

// Put the view's URL into the address bar and the language switch, so that reload, Back and the switch restore it.
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
  // Over plain HTTP from another machine there is no navigator.clipboard.
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

// A message about the previous page's action.
if (toastBox.textContent) toast(toastBox.textContent);

// Submit forms by script: a form that is refused keeps its values and shows the error.
document.addEventListener("submit", async event => {
  const form = event.target;
  if (form.method !== "post") return;
  event.preventDefault();
  if (form.getAttribute("aria-busy") === "true") return;
  form.setAttribute("aria-busy", "true");
  form.querySelector(".refused")?.remove();
  // A second click sends nothing; after coming back to the page the form can be sent again.
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
