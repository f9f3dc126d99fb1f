/// Each reason in words, and what to do: for `/api/v1/rejected`, the page and `tail`.
enum RefusalWords {
  /// What a reason means; empty for a self-explanatory one.
  static func words(_ reason: StaticString) -> StaticString {
    for (name, words) in table where Refusals.isSame(name, reason) { return words }
    return ""
  }

  /// Whether lines with that reason count all the same.
  static func isCounted(_ reason: StaticString) -> Bool {
    for rejection in Registry.Rejection.allCases where rejection.isCounted {
      if Refusals.isSame(rejection.reason, reason) { return true }
    }
    return false
  }

  private static let table: [(StaticString, StaticString)] = [
    ("no_name", "Nothing stands before the first colon. A line is NAME:VALUE|TYPE."),
    ("no_value", "No value stands behind the name: NAME:VALUE|TYPE."),
    ("no_type", "No type stands behind the value: add |c, |g, |ms, |h, |d or |s."),
    ("unknown_type", "There is no such type: it is c, g, ms, h, d or s."),
    ("bad_value", "The value is no number, is not finite, or is beyond 1e100."),
    ("negative_count", "A counter only rises. For a level that falls, send a gauge (|g)."),
    ("bad_rate", "A sample rate is above 0 and at most 1: |@0.1."),
    ("line_too_long", "Longer than --max-line-length: shorten it, or raise that."),
    ("bad_declaration", "Not _family|NAME|TYPE|HELP: see docs/protocol.md."),
    ("ignored", "Events and service checks of DogStatsD are no metrics. Nothing to do."),
    (
      "type_conflict",
      "Its family has another type, or its name is a line of another family: rename one of the two."
    ),
    ("unsupported_type", "No metric is made of this type."),
    (
      "series_limit",
      "Beyond --max-series: find the tag with too many values (metrics-sidecar top), or raise it."
    ),
    (
      "exposition_limit",
      "All series' lines exceed --max-exposition-size: use fewer or shorter tags, or raise that."
    ),
    (
      "family_limit",
      "More families than --max-families. Put what differs into a tag instead of the name."
    ),
    ("too_many_labels", "More tags than --max-labels."),
    (
      "name_too_long",
      "A name is longer than --max-name-length, or too long for all rules to be tried."
    ),
    ("label_value_too_long", "A tag's value is longer than --max-label-value-length."),
    ("state_full", "The state file is full: make room on its disk, or raise --state-size."),
    (
      "dropped_by_rules",
      "A rule drops it, or none matches and \"unmatched\" is \"drop\". Change the rules and reload."
    ),
    ("mixed_tags", "Tags in the name and behind # in one line: use one of the two."),
    ("declaration_conflict", "Another client declared this family with another type or buckets."),
    ("bad_escape", "In a declared label, \\\\, \\n and \\\" are the escapes."),
    (
      "datagram_too_long",
      "Longer than --max-datagram-size: raise that, or lower the client's buffer."
    ),
    ("poisoned", "It ended two workers in a row, so it is left out. Please report it."),
    ("client_limit", "More clients in one gauge than --max-gauge-clients."),
    ("value_out_of_range", "Scaled or added up it is more than a sum can hold."),
    ("exemplar_limit", "More exemplars than --max-exemplars. The events count."),
    (
      "tag_like_field",
      "Counted without this tag: tags stand behind |# with commas between them, |#kind:web."
    ),
    (
      "equals_in_tag", "Counted, but a tag's value stands behind a colon: |#kind:web, not kind=web."
    ),
    (
      "tags_in_name",
      "Counted, but with these tags as part of its name. Put them after |#: orders:1|c|#kind:web."
    ),
    ("bad_point", "A point without value or time, or whose numbers do not belong together."),
    ("bad_name", "The metric's name has a colon, or no letter or digit is left of it."),
    ("reserved_label", "An attribute has the name of the type's own label, le or quantile."),
    ("no_temporality", "The metric has no aggregation temporality: cumulative or delta."),
    ("stream_limit", "More streams of OpenTelemetry than --max-otlp-streams: raise that."),
    (
      "shared_stream",
      "Two writers have the same resource and start time: give each its service.instance.id."
    ),
    ("otlp_request", "OpenTelemetry's request was refused as a whole: the line says why."),
    (
      "overflow",
      "Counted in overflow=\"true\": --max-series or another limit is hit (metrics-sidecar top)."
    ),
    ("push_rejected", "The push could not be read, or does not fit: the line says why."),
    ("push_too_large", "The body is longer than --max-push-size, or is once decompressed."),
    ("push_limited", "No room for the push: see --max-push-groups, --max-push-series."),
    ("push_unauthorized", "The push came without a password of --push-auth."),
  ]
}
