// A page that was opened from a file may start no worker and read no other file; scripts it may load. So there the search
// runs in the page, on an index that the build has written as a script. What it answers is what search/worker.js answers.
if (location.protocol === "file:") {
  const script = (path) => new Promise((loaded, failed) => {
    const element = document.createElement("script");
    element.src = base_url.replace(/\/$/, "") + "/search/" + path;
    element.onload = loaded;
    element.onerror = failed;
    document.head.append(element);
  });
  window.Worker = class {
    postMessage(message) {
      if (message.init) {
        script("lunr.js").then(() => script("search_index.js")).then(() => this.begin());
      } else if (message.query) {
        const found = this.index.search(message.query).map((result) => this.pages.get(result.ref));
        this.onmessage({ data: { results: found } });
      }
    }

    begin() {
      const { docs, config } = window.searchIndex;
      this.pages = new Map(docs.map((page) => [page.location, { ...page, summary: page.text.substring(0, 200) }]));
      lunr.tokenizer.separator = new RegExp(config.separator);
      this.index = lunr(function () {
        this.field("title");
        this.field("text");
        this.ref("location");
        docs.forEach((page) => this.add(page));
      });
      this.onmessage({ data: { config } });
      this.onmessage({ data: { allowSearch: true } });
    }
  };
}
