// What needs an origin, and so a host for pages.

import { loaded, make, message, report } from "./report.js";
import { blobOf, byId, digest, get, here, pixel, same, worker } from "./tools.js";

await report({
  "local storage": async () => {
    localStorage.setItem("name", "honest");
    return same(localStorage.getItem("name"), "honest");
  },
  "session storage": async () => {
    sessionStorage.setItem("name", "honest");
    return same(sessionStorage.getItem("name"), "honest");
  },
  "database": async () => {
    const opened = indexedDB.open("honest");
    return same(await new Promise((resolve) => (opened.onsuccess = () => resolve("open"))), "open");
  },
  "cache storage": async () => same(typeof (await caches.open("honest")), "object"),
  "cookie": async () => {
    document.cookie = `name=honest; path=${location.pathname}`;
    return same(document.cookie, "name=honest");
  },
  "worker by its address": async () =>
    same(await worker(new Worker("worker.js"), here("data.json")), "honest"),
  "module worker by its address": async () =>
    same(await worker(new Worker("module-worker.js", { type: "module" })), 42),
  "shared worker": async () => {
    const { port } = new SharedWorker("shared-worker.js");
    const heard = message(null, port);
    port.start();
    return same(await heard, "shared");
  },
  "service worker": async () => {
    const registered = await navigator.serviceWorker.register("service-worker.js");
    return same(await registered.unregister(), true);
  },
  "image without crossorigin on a canvas": async () => {
    await byId("picture").decode();
    return same(pixel(byId("picture")), "200,100,50,255");
  },
  "look into a frame": async () => {
    const made = make("iframe", { src: "part/" });
    await loaded(made);
    return same(made.contentDocument?.title, "A part");
  },
  "module worker made of a blob": async () => {
    const script = blobOf(`import ${JSON.stringify(here("module-worker.js"))};`);
    return same(await worker(new Worker(script, { type: "module" })), 42);
  },
  "shape of another picture": async () => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.innerHTML = '<use href="img/shapes.svg#box"/>';
    document.body.append(svg);
    const width = () => svg.firstChild.getBoundingClientRect().width;
    for (let frame = 0; frame < 60 && !width(); frame += 1) await new Promise(requestAnimationFrame);
    return same(width(), 20);
  },
  "fetch with credentials": async () =>
    same((await get("data.json", { credentials: "include" })).status, 200),
  "script with integrity, without crossorigin": async () => {
    const integrity = await digest(await (await get("classic.js")).text());
    return same(await loaded(make("script", { src: "classic.js", integrity })), "loaded");
  },
});
