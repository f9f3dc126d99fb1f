/// Buckets whose bounds grow by the factor 2^(2^-schema): bucket `index` holds the values above
/// 2^((index - 1) / 2^schema), up to and including 2^(index / 2^schema). A schema lower by one
/// halves the buckets. https://prometheus.io/docs/specs/native_histograms/#schema
enum ExponentialScale {
  static let schemas = -4...8

  /// The coarsest schema whose buckets grow by no more than `factor`, as in the official clients.
  static func schema(growingBy factor: Double) -> Int {
    var schema = schemas.lowerBound
    while schema < schemas.upperBound, upperBound(of: 1, schema: schema) > factor { schema += 1 }
    return schema
  }

  /// The bucket of a number above 0.
  @_optimize(speed)
  static func index(of magnitude: Double, schema: Int) -> Int {
    let exponent = Int(magnitude.exponent)
    var significand = magnitude.significand
    guard schema > 0 else {
      let key = significand == 1 ? exponent : exponent + 1
      return (key + (1 << -schema) - 1) >> -schema
    }
    // The logarithm, bit by bit: squaring doubles it.
    var index = exponent
    for _ in 0..<schema {
      significand *= significand
      index *= 2
      if significand >= 2 {
        significand /= 2
        index += 1
      }
    }
    return significand == 1 ? index : index + 1
  }

  @inline(never)
  static func upperBound(of index: Int, schema: Int) -> Double {
    var whole = index
    var significand = 1.0
    if schema <= 0 {
      whole = index << -schema
    } else {
      whole = index >> schema
      var root = 2.0
      for bit in 1...schema {
        root = root.squareRoot()
        if index >> (schema - bit) & 1 == 1 { significand *= root }
      }
    }
    if whole > 1023 { return .infinity }
    return Double(sign: .plus, exponent: whole, significand: significand)
  }

  /// The representative value of a bucket: at most the factor's root away from each value in it.
  static func middle(of index: Int, schema: Int) -> Double {
    let lower = upperBound(of: index - 1, schema: schema)
    let upper = upperBound(of: index, schema: schema)
    return upper.isFinite ? lower.squareRoot() * upper.squareRoot() : lower
  }

  /// The bucket, `steps` schemas less, that holds the bucket `index`.
  @_optimize(speed)
  static func index(_ index: Int, reducedBy steps: Int) -> Int {
    (index + (1 << steps) - 1) >> steps
  }
}
