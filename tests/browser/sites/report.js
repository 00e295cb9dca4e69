// Makes all attempts at once, and writes into the page what came of each.

const PATIENCE = 8000;

function late() {
  return new Promise((resolve) => setTimeout(resolve, PATIENCE, "nothing happened"));
}

async function outcome(attempt) {
  try {
    return await Promise.race([attempt(), late()]);
  } catch (error) {
    return `${error?.name ?? "error"}: ${error?.message ?? error}`;
  }
}

export async function report(attempts) {
  const made = Object.entries(attempts).map(async ([name, attempt]) => [name, await outcome(attempt)]);
  const place = document.querySelector("#report");
  place.textContent = JSON.stringify(Object.fromEntries(await Promise.all(made)));
  place.className = "done";
}

// The next message from `source`: a frame, a window or a worker.
export function message(source, target = window) {
  return new Promise((resolve, reject) => {
    target.addEventListener("message", (event) => {
      if (!source || event.source === source()) resolve(event.data);
    });
    target.addEventListener("error", () => reject(new Error("it did not start")));
  });
}

export function loaded(element) {
  return new Promise((resolve) => {
    element.addEventListener("load", () => resolve("loaded"));
    element.addEventListener("error", () => resolve("refused"));
    document.body.append(element);
  });
}

export function make(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}
