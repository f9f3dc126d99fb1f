/// `/docs`: Swagger UI over the routes table, with that table as plain HTML until the script has
/// run, or if it cannot run.
///
/// The files come from a folder, or else from a CDN, checked by their hashes. Every URL is relative
/// to the page, so it works under any prefix.
struct Docs: Sendable {
  /// The path under which a proxy shows the API, such as `/api`, or nothing.
  let rootPath: RootPath
  let swaggerUI: SwaggerUI

  /// Header lines of the page. Swagger UI sets `style` attributes and embeds its icons as `data:`.
  var pageFields: String {
    let other = swaggerUI.isRemote ? " " + SwaggerUI.remoteOrigin : ""
    return "Content-Security-Policy: default-src 'none'; script-src 'self'\(other); "
      + "style-src 'self' 'unsafe-inline'\(other); img-src 'self' data:; connect-src 'self'; "
      + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
      + "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
  }

  func page(_ routes: [Route]) -> String {
    var rows = ""
    for route in routes {
      let link = route.path.utf8CodeUnitCount == 1 ? "./" : relative(route.path)
      rows +=
        "<tr><td><code>GET <a href=\"\(link)\">\(route.path)</a></code></td>"
        + "<td>\(route.summary)</td><td><code>\(route.body)</code></td></tr>\n"
    }
    return """
      <!doctype html>
      <html lang="en"><head><meta charset="utf-8"><title>simple-server: API</title>
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <link rel="icon" href="data:,">
      \(swaggerUI.styleElement)
      <link rel="stylesheet" href="docs/page.css">
      </head><body>
      <div id="swagger-ui"><div class="plain">
      <h1>simple-server</h1>
      <p>The whole API. <a href="openapi.json">openapi.json</a> has it for machines.</p>
      <table><tr><th>Request</th><th>What it does</th><th>Answer</th></tr>
      \(rows)</table></div></div>
      \(swaggerUI.scriptElement)
      <script src="docs/start.js"></script>
      </body></html>

      """
  }

  private func relative(_ path: StaticString) -> String {
    String(decoding: "\(path)".utf8.dropFirst(), as: UTF8.self)
  }

  /// The files that the page loads from this server.
  var assets: [Asset] {
    swaggerUI.assets + [
      Asset(
        path: "/docs/page.css", contentType: "text/css; charset=utf-8",
        body: Array(Self.style.utf8)),
      Asset(
        path: "/docs/start.js", contentType: "text/javascript; charset=utf-8",
        body: Array(Self.start.utf8)),
    ]
  }

  private static let style = """
    :root { color-scheme: light dark }
    html { box-sizing: border-box }
    *, ::before, ::after { box-sizing: inherit }
    body { margin: 0 }
    .plain {
      font: 16px/1.5 system-ui, sans-serif; max-width: 48rem; margin: 3rem auto; padding: 0 1rem
    }
    .plain table { border-collapse: collapse; width: 100% }
    /* No answer has links; on a phone the column takes the room of the others. */
    .swagger-ui .response-col_links { display: none }
    .plain :is(td, th) { padding: .5rem; text-align: left; border-bottom: 1px solid #8884 }

    """

  /// If the script does not start, the table stays.
  private static let start = """
    'use strict'
    const root = document.documentElement
    const dark = matchMedia('(prefers-color-scheme: dark)')
    // Older releases have no dark colours: their text needs a light page. Reading the rules of a
    // CDN style that failed to load throws an exception.
    const rules = (sheet) => { try { return [...sheet.cssRules] } catch { return [] } }
    const knowsDark = [...document.styleSheets].some((sheet) =>
      rules(sheet).some((rule) => rule.cssText.includes('.dark-mode')))
    const follow = () => root.classList.toggle('dark-mode', dark.matches)
    if (window.SwaggerUIBundle) {
      if (knowsDark) {
        follow()
        dark.addEventListener('change', follow)
      } else {
        root.style.colorScheme = 'light'
      }
      window.ui = SwaggerUIBundle({
        url: new URL('openapi.json', location.href).href,
        dom_id: '#swagger-ui',
        deepLinking: true,
        displayRequestDuration: true,
        tryItOutEnabled: false,
        validatorUrl: null,
      })
    }

    """
}

/// A file that a page loads.
struct Asset: Sendable {
  let path: StaticString
  let contentType: StaticString
  let body: [UInt8]
}
