// Uploads into the library, and selecting posts to correct.
"use strict";

const upload = document.getElementById("upload");
const correcting = document.querySelector(".correcting");

const warn = event => event.preventDefault();

// One upload at a time: once it is done, the page is loaded anew.
function busy(sending) {
  for (const input of upload.querySelectorAll("input")) input.disabled = sending;
  if (sending) addEventListener("beforeunload", warn);
  else removeEventListener("beforeunload", warn);
}

async function sendAll(files, name) {
  const status = document.getElementById("uploading");
  const total = files.reduce((sum, file) => sum + file.size, 0) || 1;
  let sent = 0, number = null;
  busy(true);
  try {
    const form = new FormData();
    form.append("name", name);
    number = (await (await send("/library/uploads", { method: "POST", body: form })).json()).upload;
    for (const [done, file] of files.entries()) {
      const query = new URLSearchParams({ path: file.webkitRelativePath || file.name, modified: file.lastModified });
      await put(`/library/uploads/${number}/file?${query}`, file, bytes => {
        const percent = Math.floor(100 * (sent + bytes) / total);
        status.textContent = upload.dataset.progress.replace("{done}", done).replace("{n}", files.length).replace("{percent}", percent);
      });
      sent += file.size;
    }
    await send(`/library/uploads/${number}/done`, { method: "POST" });
    busy(false);
    location.assign("/library");
  } catch (error) {
    busy(false);
    status.textContent = "";
    toast(why(error), true);
    if (number) await send(`/library/imports/${number}/dismiss`, { method: "POST" }).catch(() => {});
  }
}

// fetch() tells nothing of what is sent so far.
function put(url, file, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", url);
    request.setRequestHeader("X-CSRF-Token", csrf);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", event => progress(event.loaded));
    request.addEventListener("load", () => request.status < 300 ? resolve() : reject(new Error(plain(request.responseText))));
    request.addEventListener("error", () => reject(new TypeError("no answer")));
    request.send(file);
  });
}

if (upload) {
  for (const id of ["archives", "folder"]) {
    document.getElementById(id).addEventListener("change", event => {
      const files = [...event.target.files];
      event.target.value = "";
      if (!files.length) return;
      sendAll(files, files[0].webkitRelativePath.split("/")[0] || files[0].name);
    });
  }
}

// At the side there is room for all months and tags; on a phone they wait to be asked for.
if (matchMedia("(min-width: 55rem)").matches) {
  for (const facet of document.querySelectorAll(".facet")) facet.open = true;
}

if (correcting) {
  const form = document.getElementById("correct");
  form.addEventListener("change", () => {
    const count = form.querySelectorAll("input[name=posts]:checked").length;
    correcting.hidden = !count;
    correcting.querySelector("output").textContent = count;
  });
}

document.addEventListener("keydown", event => {
  if (event.target.matches("input, textarea, select, video") || event.altKey || event.ctrlKey || event.metaKey) return;
  const link = { ArrowLeft: "newer", ArrowRight: "older" }[event.key];
  if (link) document.getElementById(link)?.click();
});

// Once the last import is over, its posts are shown.
document.addEventListener("htmx:beforeSwap", event => {
  if (event.detail.target.matches(".import[hx-trigger]") && !event.detail.serverResponse.includes("hx-trigger")) {
    location.reload();
  }
});
