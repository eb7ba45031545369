// Shows the answer while it is written; without this script the form opens it as plain text.
(() => {
  "use strict";
  const form = document.getElementById("form");
  const answer = document.getElementById("answer");
  const served = document.getElementById("served");

  const told = {
    message: (data) => { answer.textContent += data.text; },
    restart: () => { answer.textContent = ""; },
    done: (data) => { served.textContent = `Answered by ${data.served_by}${data.failed_over ? ", in the place of the first target" : ""}.`; },
    error: (data) => { served.textContent = `No answer just now (${data.error}). Please try again.`; },
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    answer.textContent = served.textContent = "";
    form.querySelector("button").disabled = true;
    try {
      const reply = await fetch(form.action, {
        method: "POST", body: new FormData(form), headers: { Accept: "text/event-stream" },
      });
      if (!reply.ok) throw new Error(`status ${reply.status}`);
      const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        const blocks = (rest + value).split("\n\n");
        rest = blocks.pop();
        for (const block of blocks) {
          const [name, data] = block.split("\n");
          told[name.slice(7)]?.(JSON.parse(data.slice(6)));
        }
      }
    } catch (error) {
      told.error({ error: error.message });
    } finally {
      form.querySelector("button").disabled = false;
    }
  });
})();
