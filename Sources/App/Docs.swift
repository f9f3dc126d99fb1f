/// `/docs`: the routes table as a page.
enum Docs {
  static func page(_ routes: [Route]) -> String {
    var rows = ""
    for route in routes {
      rows +=
        "<tr><td><code>GET <a href=\"\(route.path)\">\(route.path)</a></code></td>"
        + "<td>\(route.summary)</td><td><code>\(route.body)</code></td></tr>\n"
    }
    return """
      <!doctype html>
      <html lang="en"><head><meta charset="utf-8"><title>simple-server</title>
      <meta name="viewport" content="width=device-width">
      <style>
      :root{color-scheme:light dark}
      body{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:3rem auto;padding:0 1rem}
      table{border-collapse:collapse;width:100%}
      td,th{padding:.5rem;text-align:left;border-bottom:1px solid #8884}
      </style></head><body>
      <h1>simple-server</h1>
      <p>The whole API. <a href="/openapi.json">openapi.json</a> has it for machines.</p>
      <table><tr><th>Request</th><th>What it does</th><th>Answer</th></tr>
      \(rows)</table></body></html>

      """
  }
}
