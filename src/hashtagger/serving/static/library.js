// Uploads into the library, and selecting posts to correct.
"use strict";

const upload = document.getElementById("upload");
const correcting = document.querySelector(".correcting");

const warn = event => event.preventDefault();

// Only one upload runs at a time; the page is reloaded when it is done.
function busy(sending) {
  for (const input of upload.querySelectorAll("input")) input.disabled = sending;
  if (sending) addEventListener("beforeunload", warn);
  else removeEventListener("beforeunload", warn);
}

// Upload files, each with its path relative to the selection; archives become one import, other files another.
async function sendAll(found) {
  if (!found.length) {
    toast(upload.dataset.nothing, true);
    return;
  }
  const isArchive = ({ path }) => /^[^/]+\.zip$/i.test(path);
  for (const some of [found.filter(isArchive), found.filter(one => !isArchive(one))]) {
    if (some.length && !await sendSome(some)) return;
  }
  location.assign("/library");
}

// Upload files as one import; resolves to whether it succeeded.
async function sendSome(found) {
  const files = found.map(one => one.file), name = found[0].path.split("/")[0];
  const status = document.getElementById("uploading");
  const total = files.reduce((sum, file) => sum + file.size, 0) || 1;
  let sent = 0, received = 0, number = null;
  const giveUp = () => number && send(`/library/imports/${number}/dismiss`, { method: "POST", keepalive: true }).catch(() => {});
  busy(true);
  addEventListener("pagehide", giveUp);
  try {
    const form = new FormData();
    form.append("name", name);
    number = (await (await send("/library/uploads", { method: "POST", body: form })).json()).upload;
    for (const [done, { file, path }] of found.entries()) {
      const query = new URLSearchParams({ path, modified: file.lastModified });
      try {
        await put(`/library/uploads/${number}/file?${query}`, file, bytes => {
          const percent = Math.floor(100 * (sent + bytes) / total);
          status.textContent = upload.dataset.progress.replace("{done}", done).replace("{n}", files.length).replace("{percent}", percent);
        });
        received++;
      } catch (error) {
        // One bad file does not stop the others; it is listed with the files that cannot be read.
        if (!(error instanceof Refused) || !received && done === files.length - 1) throw error;
        const form = new FormData();
        form.append("path", path.slice(0, 1000));
        form.append("cause", error.message.replace(`${path}: `, "").replace(`${file.name}: `, "").slice(0, 1000));
        await send(`/library/uploads/${number}/refused`, { method: "POST", body: form });
      }
      sent += file.size;
    }
    await send(`/library/uploads/${number}/done`, { method: "POST" });
    removeEventListener("pagehide", giveUp);
    busy(false);
    return true;
  } catch (error) {
    busy(false);
    status.textContent = "";
    toast(why(error), true);
    removeEventListener("pagehide", giveUp);
    await giveUp();
    return false;
  }
}

// An error that concerns only one file.
class Refused extends Error {}

// XMLHttpRequest, because fetch() reports no upload progress.
function put(url, file, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", url);
    request.setRequestHeader("X-CSRF-Token", csrf);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", event => progress(event.loaded));
    request.addEventListener("load", () => {
      if (request.status < 300) resolve();
      else reject(new ([413, 422].includes(request.status) ? Refused : Error)(plain(request.responseText)));
    });
    request.addEventListener("error", () => file.slice(0, 1).arrayBuffer().then(
      () => reject(new TypeError("no answer")),
      () => reject(new Refused(`${file.name}: ${upload.dataset.unreadable}`)),
    ));
    request.send(file);
  });
}

// All files in a dropped folder and below.
async function filesOf(entry) {
  if (entry.isFile) {
    return [{ file: await new Promise((resolve, reject) => entry.file(resolve, reject)), path: entry.fullPath.slice(1) }];
  }
  const reader = entry.createReader(), found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    for (const one of some) found.push(...await filesOf(one));
  }
}

if (upload) {
  for (const id of ["archives", "photos", "folder"]) {
    document.getElementById(id).addEventListener("change", event => {
      const found = [...event.target.files].map(file => ({ file, path: file.webkitRelativePath || file.name }));
      event.target.value = "";
      sendAll(found);
    });
  }
  const adding = document.querySelector(".adding");
  document.addEventListener("dragover", event => { event.preventDefault(); adding.classList.add("over"); });
  document.addEventListener("dragleave", event => { if (!event.relatedTarget) adding.classList.remove("over"); });
  document.addEventListener("drop", async event => {
    event.preventDefault();
    adding.classList.remove("over");
    if (upload.querySelector("input:disabled")) return;
    // Read all items synchronously: the event's data is gone after the first await.
    const dropped = [...event.dataTransfer.items].filter(item => item.kind === "file").map(item => {
      const entry = item.webkitGetAsEntry(), file = item.getAsFile();
      return entry?.isDirectory ? filesOf(entry) : [{ file, path: file.name }];
    });
    try {
      sendAll((await Promise.all(dropped)).flat());
    } catch (error) {
      toast(why(error), true);
    }
  });
}

// A wide window has a sidebar with room for all months and tags; on a phone they stay collapsed.
if (matchMedia("(min-width: 55rem)").matches) {
  for (const facet of document.querySelectorAll(".facet")) facet.open = true;
}

if (correcting) {
  const form = document.getElementById("correct");
  const count = () => {
    const selected = [...form.querySelectorAll("input[name=posts]:checked")].map(box => box.value);
    correcting.hidden = !selected.length;
    correcting.querySelector("output").textContent = selected.length;
    history.replaceState({ selected }, "");
  };
  // Restore the selection when coming back to the page.
  for (const box of form.querySelectorAll("input[name=posts]")) box.checked = !!history.state?.selected?.includes(box.value);
  count();
  form.addEventListener("change", count);
  // Clear the selection once it is corrected.
  form.addEventListener("submit", () => history.replaceState(null, ""));
  form.addEventListener("keydown", event => {
    if (event.key === "Enter" && event.target.type === "checkbox") event.preventDefault();
  });
}

// After "Show more", put the number of shown posts into the URL and the correction form.
document.addEventListener("htmx:afterRequest", event => {
  const { address } = event.detail.requestConfig.elt.dataset;
  if (!address || !event.detail.successful) return;
  here(address);
  document.getElementById("correct").elements.back.value = address;
});

document.addEventListener("keydown", event => {
  if (event.target.matches("input, textarea, select, video") || event.altKey || event.ctrlKey || event.metaKey) return;
  const link = { ArrowLeft: "newer", ArrowRight: "older" }[event.key];
  if (link) document.getElementById(link)?.click();
});

// When the last import has finished, reload to show its posts; if the user is busy on the page, show a link instead.
document.addEventListener("htmx:beforeSwap", event => {
  const { target, serverResponse } = event.detail;
  if (!target.matches(".import[hx-trigger]")) return;
  const answer = new DOMParser().parseFromString(serverResponse, "text/html");
  if (answer.querySelector(`#${target.id}[hx-trigger], .import.waiting, .import.running`)) return;
  const typed = [...document.querySelectorAll("main input:not([type=checkbox])")].some(input => input.value !== input.defaultValue);
  if (typed || correcting?.hidden === false || upload.querySelector("input:disabled")) {
    document.getElementById("renew").hidden = false;
  } else {
    location.reload();
  }
});
