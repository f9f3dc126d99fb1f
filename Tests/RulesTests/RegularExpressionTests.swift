import SidecarFuzzSupport
import SidecarRules
import Testing

@Suite struct RegularExpressionTests {
  /// Expression, text, and what the whole and each group stand for, as RE2 itself has it; nil where
  /// it does not match. `Tests/System/test_regex.py` compares random ones.
  @Test(
    arguments: [
      (#"^a\.b$"#, #"a.b"#, #"a.b"#),
      (#"^a\.b$"#, #"axb"#, nil),
      (#"a.b"#, #"xa-by"#, #"a-b"#),
      (
        #"airflow.operator_successes_(.*)"#, #"airflow.operator_successes_BashOperator"#,
        #"airflow.operator_successes_BashOperator|BashOperator"#
      ),
      (#"(.+)\.(.+)_start$"#, #"af.my.job_start"#, #"af.my.job_start|af.my|job"#),
      (#"^(.*)\.(.*)$"#, #"a.b.c"#, #"a.b.c|a.b|c"#),
      (#"^(.*?)\.(.*)$"#, #"a.b.c"#, #"a.b.c|a|b.c"#),
      (#"^([^.]+)\.([^.]+)$"#, #"a.b"#, #"a.b|a|b"#),
      (#"^([^.]+)\.([^.]+)$"#, #"a.b.c"#, nil),
      (#"(\w+)\.(\d+)"#, #"x.y.42"#, #"y.42|y|42"#),
      (#"(a|ab)(c|bcd)(d*)"#, #"abcd"#, #"abcd|a|bcd|"#),
      (#"(a|b|)+c"#, #"abc"#, #"abc|b"#),
      (#"a{2,3}"#, #"aaaa"#, #"aaa"#),
      (#"(a{2,3}?)(a*)"#, #"aaaa"#, #"aaaa|aa|aa"#),
      (#"(a{2,3})(a*)"#, #"aaaa"#, #"aaaa|aaa|a"#),
      (#"(a){0}b"#, #"ab"#, #"b|"#),
      (#"x{,2}"#, #"x{,2}"#, #"x{,2}"#),
      (#"(?i)ERROR\.(\w+)"#, #"error.Disk"#, #"error.Disk|Disk"#),
      (#"(?i:a)b"#, #"AB"#, nil),
      (#"(?P<who>[a-z]+)-(?P<n>\d)"#, #"web-1"#, #"web-1|web|1"#),
      (#"(?:a|(b))c"#, #"ac"#, #"ac|"#),
      (#"(?:a|(b))c"#, #"bc"#, #"bc|b"#),
      (#"(a*)*"#, #"aaa"#, #"aaa|aaa"#),
      (#"(a*)+"#, #"aaa"#, #"aaa|aaa"#),
      (#"(|a)*"#, #"aa"#, #"|"#),
      (#"(|a)+"#, #"aa"#, #"|"#),
      (#"(a|b)*?c"#, #"abc"#, #"abc|b"#),
      (#"[]a]+"#, #"]a"#, #"]a"#),
      (#"[^]a]+"#, #"b]"#, #"b"#),
      (#"[a-]+"#, #"a-b"#, #"a-"#),
      (#"[\w.]+"#, #"a.b-c"#, #"a.b"#),
      (#"[[:alpha:]]+"#, #"ab1"#, #"ab"#),
      (#"[[:^digit:]]+"#, #"ab1"#, #"ab"#),
      (#"[^\d\s]+"#, #"12ab"#, #"ab"#),
      (#"\bfoo\b"#, #"a.foo.b"#, #"foo"#),
      (#"\bfoo\b"#, #"afoo"#, nil),
      (#"\Boo"#, #"foo"#, #"oo"#),
      (#"\Aab\z"#, #"ab"#, #"ab"#),
      (#"\Aab\z"#, #"abc"#, nil),
      (#"\x61\x{62}\141"#, #"aba"#, #"aba"#),
      (#"\Qa.b\E+"#, #"a.bbb"#, #"a.bbb"#),
      (#"(?s)."#, #"a"#, #"a"#),
      (#"(?U)(a+)(a*)"#, #"aaa"#, #"a|a|"#),
      (#"(?U)(a+?)(a*)"#, #"aaa"#, #"aaa|aaa|"#),
      (#"^$"#, #""#, #""#),
      (#"$^"#, #""#, #""#),
      (#""#, #"abc"#, #""#),
      (#"a|b|"#, #"c"#, #""#),
      (#"(a+)(b+)?"#, #"aac"#, #"aa|aa|"#),
      (#"((a)|(b))+"#, #"ab"#, #"ab|b|a|b"#),
      (#"(.)(.)?$"#, #"abc"#, #"bc|b|c"#),
      (
        #"stats\.(counters|timers)\.(.+?)\.count$"#, #"stats.timers.api.v1.count"#,
        #"stats.timers.api.v1.count|timers|api.v1"#
      ),
      (#"^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)_){3}(?:\d+)$"#, #"10_0_254_3"#, #"10_0_254_3"#),
      (
        #"^vault\.route\.(.+)\.(.+)-$"#, #"vault.route.read.secret-"#,
        #"vault.route.read.secret-|read|secret"#
      ),
    ] as [(String, String, String?)])
  func `a match and its groups are what RE2 makes them`(
    _ pattern: String, _ text: String, _ captures: String?
  ) throws {
    let regex = try RegularExpression(Array("(\(pattern))".utf8))
    let found = regex.captures(Array(text.utf8)[...])
    #expect(
      found.map { $0.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "|") }
        == captures)
  }

  @Test(arguments: [
    ("a)", 1, "a ) without its ("), ("(a", 0, "a ( without its )"), ("a[b", 1, "a [ without its ]"),
    ("*a", 0, "nothing that it could repeat stands before it"),
    ("a|{2}", 5, "nothing that it could repeat stands before it"),
    ("a**", 2, "a repetition of a repetition: put ( ) around the first"),
    ("a{3,2}", 1, "a repetition goes from a smaller to a larger number, up to 1000"),
    ("a{1001}", 1, "a repetition goes from a smaller to a larger number, up to 1000"),
    ("[z-a]", 1, "a range goes from a lower to a higher character"),
    ("[[:nope:]]", 1, "there is no such class"),
    ("[é]", 2, "a class has ASCII characters alone: write others as (é|è)"),
    (#"a\"#, 1, #"a \ with nothing behind it"#),
    (#"\pL"#, 0, #"a \ that RE2 over bytes does not have: no references, \p or \C"#),
    (#"(a)\1"#, 3, #"a \ that RE2 over bytes does not have: no references, \p or \C"#),
    (#"\x4"#, 3, #"\x takes two digits, or more in { }"#),
    ("(?=a)", 2, "(? takes :, P<name> or the flags imsU here"),
    ("(?P<a>b)(?P<a>c)", 14, "a group's name has letters, digits and _, and is there once"),
    (
      String(repeating: "(?:", count: 101), 301, "groups are nested more than 100 deep"
    ),
    (String(repeating: "()", count: 100), 199, "more than 99 groups"),
  ])
  func `what is no expression is refused with the place`(
    _ pattern: String, _ offset: Int, _ message: String
  ) {
    do throws(RegularExpression.Mistake) {
      _ = try RegularExpression(Array(pattern.utf8))
      Issue.record("\(pattern) is taken")
    } catch {
      #expect(error.message == message)
      #expect(error.offset == offset)
    }
  }

  /// Ten nested repetitions of nothing would be 10^30 rounds.
  @Test(arguments: [
    "((a{100}){100}){100}", "((ab){1000}){9}",
    String(repeating: "(?:", count: 10) + String(repeating: "){1000}", count: 10),
  ])
  func `a program that would be too large is refused before it is written`(_ pattern: String) {
    do throws(RegularExpression.Mistake) {
      _ = try RegularExpression(Array(pattern.utf8))
      Issue.record("\(pattern) is taken")
    } catch { #expect(error.message.contains("10,000 steps")) }
  }

  @Test func `repetitions are written out up to the limit`() throws {
    let longest = try RegularExpression([UInt8](repeating: 97, count: 9_999))
    #expect(longest.stepCount == RegularExpression.stepLimit)
    #expect(throws: RegularExpression.Mistake.self) {
      try RegularExpression([UInt8](repeating: 97, count: 10_000))
    }
    let regex = try RegularExpression(Array("^(?:[ab]{1000}){4}$".utf8))
    #expect(regex.stepCount > 4000 && regex.stepCount < RegularExpression.stepLimit)
    let text = [UInt8](repeating: UInt8(ascii: "b"), count: 4000)
    #expect(regex.captures(text[...]) != nil)
    #expect(regex.captures(text.dropLast()) == nil)
  }

  @Test(arguments: [
    "(a*)*b", "(a|a)*b", "(a|aa)+$", "(?:a*)*(?:a*)*(?:a*)*b", "(.*)(.*)(.*)(.*)(.*)x",
    "a.*a.*a.*b",
    "(a?){30}a{30}b", "(?:(a?)*?)*b", "^(([a-z])+.)+[A-Z]([a-z])+$", "(x+x+)+y|a*b",
    "(a{0,20}){20}b",
  ])
  func `hostile expressions take time in proportion to the text`(_ pattern: String) throws {
    let regex = try RegularExpression(Array(pattern.utf8))
    func visits(_ count: Int) -> Int {
      var visits = 0
      let text = [UInt8](repeating: UInt8(ascii: "a"), count: count)
      _ = regex.captures(text[...], &visits)
      #expect(visits <= (2 * regex.stepCount + 1) * (count + 1), "\(count)")
      return visits
    }
    let (short, long) = (visits(250), visits(1000))
    #expect(Double(long) <= 4.3 * Double(short), "\(short) and \(long) steps")
  }

  /// A file's expressions may be tried one after the other: what is left of the work goes on.
  @Test func `a match that takes more than all rules may ends, and says so`() throws {
    let regex = try RegularExpression(Array("(?:a?){1000}(?:a?){1000}(?:a?){1000}b".utf8))
    let text = [UInt8](repeating: UInt8(ascii: "a"), count: 256)
    var work = 0
    #expect(regex.captures(text[...], &work) == nil)
    #expect(work > 500_000 && work <= Pattern.workLimit, "\(work)")
    for _ in 0..<40 where work <= Pattern.workLimit { _ = regex.captures(text[...], &work) }
    #expect(work > Pattern.workLimit)
    #expect(work <= Pattern.workLimit + 2 * regex.stepCount * 257)
    // Too many places for the bits that it has.
    work = 0
    let long = [UInt8](repeating: UInt8(ascii: "b"), count: 65_536)
    #expect(regex.captures(long[...], &work) == nil)
    #expect(work > Pattern.workLimit)
    #expect(try RegularExpression(Array("b$".utf8)).captures(long[...]) != nil)
    #expect(Pattern("**a*a*a*b").captures(long[...], &work) == nil)
  }

  @Test(arguments: [
    (#"^app\.jobs\.(.*)"#, "app.jobs."), ("^a+b", "a"), ("^(a)b|c", ""), ("^a|b", ""), ("a", ""),
    (#"\Aé"#, ""), ("^(ab)?", ""), ("(?i)^ab", ""), ("^a?b", ""), ("^(?:a(b))c", "abc"),
  ])
  func `what every match begins with is known where the start is anchored`(
    _ pattern: String, _ prefix: String
  ) throws {
    let regex = try RegularExpression(Array(pattern.utf8))
    #expect(String(decoding: regex.prefix, as: UTF8.self) == prefix)
  }

  @Test func `characters of several bytes are one thing to repeat, and text by bytes`() throws {
    let regex = try RegularExpression(Array("^(é+)(.*)$".utf8))
    let found = try #require(regex.captures(Array("éé-ü".utf8)[...]))
    #expect(found.map { String(decoding: $0, as: UTF8.self) } == ["éé", "-ü"])
  }

  @Test func `groups have the names that they were given`() {
    let names = RegularExpression.names(Array("(a)(?P<b>c)(?:d)(?<e>f)".utf8))
    #expect(names.map { String(decoding: $0.name, as: UTF8.self) } == ["b", "e"])
    #expect(names.map { $0.number } == [2, 3])
  }
}

@Suite struct RegularExpressionFuzzTests {
  /// The first line is the expression, the rest the text.
  @Test func `any bytes are an expression or a mistake, and a match stays within its bounds`() {
    Fuzzer(
      "regex",
      pieces: [
        "(", ")", "(?:", "(?P<a>", "[^", "]", "*", "+?", "{2,5}", "{1000}", "|", #"\d"#, "\n",
      ]
    )
    .run { input, _, label in
      let end = input.firstIndex(of: 10) ?? input.count
      do throws(RegularExpression.Mistake) {
        let regex = try RegularExpression(Array(input[..<end]))
        #expect(regex.stepCount <= RegularExpression.stepLimit, "\(label)")
        let text = input.dropFirst(end + 1).prefix(200)
        var visits = 0
        let found = regex.captures(text, &visits)
        #expect(visits <= (2 * regex.stepCount + 1) * (text.count + 1), "\(label)")
        guard let found else { return }
        #expect(found.count == regex.groupCount, "\(label)")
        for group in found {
          let isInside = group.startIndex >= text.startIndex && group.endIndex <= text.endIndex
          #expect(isInside, "\(label)")
        }
        #expect(text.starts(with: regex.prefix), "\(label)")
      } catch { #expect(error.offset <= end, "\(label)") }
    }
  }
}
