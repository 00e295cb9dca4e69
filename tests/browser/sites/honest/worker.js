self.onmessage = async (event) => {
  const answer = await fetch(event.data);
  self.postMessage((await answer.json()).name);
};
