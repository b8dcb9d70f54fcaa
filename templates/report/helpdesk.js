"use strict";
(() => {
  const known = JSON.parse(document.getElementById("known").textContent);
  const ID = 16, BLOCK = 32, LENGTH = 8;
  const letters = new Map(known.letters.map((entry) => [entry.slice(0, ID), entry.slice(ID)]));
  const form = document.querySelector("form"), answer = document.getElementById("answer");
  const encoder = new TextEncoder(), decoder = new TextDecoder();

  // PBKDF2 with HMAC-SHA-256 (RFC 8018), of one block. A browser has it only for pages of a web server, and this is a file.
  function derived(password, salt) {
    const key = encoder.encode(password);
    let round = sha256.hmac.array(key, [...salt, 0, 0, 0, 1]);
    const block = round.slice();
    for (let number = 1; number < known.rounds; number++) {
      round = sha256.hmac.array(key, round);
      for (let at = 0; at < BLOCK; at++) block[at] ^= round[at];
    }
    return block;
  }

  function octets(base64) {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  }

  function opened(sealed, key) {
    const text = octets(sealed);
    for (let at = 0; at < text.length; at += BLOCK) {
      const mask = sha256.array([...key, at / BLOCK]);
      for (let i = at; i < Math.min(at + BLOCK, text.length); i++) text[i] ^= mask[i - at];
    }
    return JSON.parse(decoder.decode(text));
  }

  function look(reference, address) {
    const block = derived(`${reference}\0${address}`, octets(known.salt));
    const sealed = letters.get(btoa(String.fromCharCode(...block.slice(0, 12))));
    return sealed === undefined ? null : opened(sealed, block.slice(12));
  }

  function say(word, title, facts, advice) {
    answer.className = word;
    const heading = document.createElement("h2"), list = document.createElement("dl"), then = document.createElement("p");
    heading.textContent = title;
    then.textContent = advice;
    for (const [name, value] of facts) {
      const term = document.createElement("dt"), told = document.createElement("dd");
      term.textContent = name;
      told.textContent = value;
      list.append(term, told);
    }
    answer.replaceChildren(heading, list, then);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const reference = form.elements.reference.value.replace(/[\s-]/g, "").toUpperCase();
    const typed = form.elements.address.value.trim(), inside = /<([^<>]+)>\s*$/.exec(typed);
    const address = (inside ? inside[1] : typed).trim().normalize("NFC").toLowerCase();
    if (reference.length !== LENGTH || !address.includes("@")) {
      say("", "Both are needed", [], "The reference has eight characters and stands at the end of the mail; the address is the one it came to.");
      return;
    }
    const found = look(reference, address);
    if (found === null) {
      say("no", "Not genuine", [], `No letter with this reference went to this address until ${known.until}. Compare both once more, ` +
        "character by character. If they are right, treat the mail as a forgery: click nothing in it, and tell those who look after security.");
      return;
    }
    const [kind, day, subject, sure] = found;
    const facts = [["What it is", `${kind}: ${known.kinds[kind] ?? ""}`], ["Sent on", day], ["Subject", subject ?? "not known"]];
    say("yes", sure ? "Genuine" : "Probably genuine", facts, "Compare the day and the subject with the mail: if they differ, somebody copied " +
      "the reference of a genuine letter." + (sure ? "" : " The mail server did not say whether it took this letter."));
  });
})();
