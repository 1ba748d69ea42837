// The one result model: what check, audit, simulate and bench found. Reports render it and compute
// nothing. Values; thread-compatible. JSON form: result/result_json.h, schema version
// kSchemaVersion.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace touchstone::result {

inline constexpr int kSchemaVersion = 2;

/// fail > unknown > pass when verdicts are combined; skip never decides.
enum class Verdict { kPass, kFail, kUnknown, kSkip };
enum class Level { kMust, kShould, kMay };

const char* to_string(Verdict verdict);  // "pass", "fail", "unknown", "skip"
const char* to_string(Level level);      // "MUST", "SHOULD", "MAY"
/// The worse of the two by fail > unknown > pass > skip.
Verdict combine(Verdict a, Verdict b);

/// A line of a file that somebody can open. Empty file: not known.
struct Location {
  std::string file;
  int64_t line = 0;  ///< from 1; 0: the file as a whole
};

/// Where something was seen. What is empty does not apply.
struct Place {
  std::string trace_id;  ///< hex
  std::string span_id;   ///< hex
  std::string request;   ///< as the ledger or the workload names it
  Location input;        ///< in what was read: a line of spans, of a step log
};
/// "trace/span", "trace", "request 7", "spans.jsonl:12"; empty for an empty place.
std::string to_string(const Place& place);
std::string to_string(const Location& location);  // "file:line", "file", ""

/// One violated requirement, at one place or at several alike.
struct Finding {
  std::string check_id;  ///< a name, never a number: "span.attribute.required"
  Level level = Level::kMust;
  std::string signal;   ///< "span", "metric", "resource", "ledger", "log", "collector"
  std::string subject;  ///< what it is about: span "llm_request 0ff6…", attribute, metric, request
  std::string message;  ///< one sentence: requirement, expected, actual
  std::string expected;
  std::string actual;
  std::map<std::string, std::string> context;  ///< attribute, hop, span, …
  /// How many places this finding stands for when equal ones were folded; at least 1.
  int64_t count = 1;
  std::vector<Place> places = {};  ///< the first of them
  Location rule = {};              ///< of the profile or suite that demands it
};

/// What one check came to. A check that examined nothing is never a pass.
struct CheckOutcome {
  std::string id;
  std::string title;
  std::string group;  ///< "schema", "coverage", "completeness", "topology", "reconciliation", …
  Level level = Level::kMust;
  std::string source;  ///< specification, version, sentence
  Verdict verdict = Verdict::kUnknown;
  std::string reason;    ///< why skip or unknown, or a one-line summary
  int64_t examined = 0;  ///< how many spans, requests, series it looked at
  std::vector<Finding> findings;
};

/// Present in `present` of `total` spans of `span_type`.
struct CoverageRow {
  std::string name_space;  ///< "gen_ai.latency", "gen_ai.usage", "resource", …
  std::string attribute;
  std::string span_type;
  Level level = Level::kMust;
  int64_t present = 0;
  int64_t total = 0;
};

/// "PASS" (on each), "MISSING" (on none), "PARTIAL 59/72", or "NO SPAN".
std::string coverage_word(int64_t present, int64_t total);

/// When and where an attribute that is required was seen, on all spans of a type or on a group.
struct Sighting {
  std::string attribute;
  std::string span_type;  ///< "resource": on the resources of spans
  std::string group;      ///< "tenant acme", "model M", "operation chat"; empty: all
  Level level = Level::kMust;
  int64_t present = 0;
  int64_t total = 0;                               ///< spans on which it is due
  std::optional<int64_t> first_seen_unix_ns = {};  ///< start of the first span that has it
  std::optional<int64_t> last_seen_unix_ns = {};
  std::vector<std::string> missing_in = {};  ///< services of spans without it; the first few
};

/// One latency budget: the quantile of a phase against a threshold, with its confidence interval.
struct BudgetRow {
  std::string phase;  ///< "queue", "prefill", "ttft", "itl", "tpot", "e2e"
  double quantile = 0;
  double threshold_s = 0;
  std::optional<double> measured_s;
  std::optional<double> low_s;  ///< interval at `confidence`
  std::optional<double> high_s;
  double confidence = 0.95;
  int64_t samples = 0;
  Verdict verdict = Verdict::kUnknown;
};

/// Where the true value lies with this confidence. An end may be infinite.
struct Interval {
  double low = 0;
  double high = 0;
  double confidence = 0.95;
};

/// Numbers that stand in a row of a table: measured beside simulated, say.
struct Cell {
  std::string column;
  double value = 0;
  std::optional<Interval> interval = {};
};
struct Figure {
  std::string name;          ///< "steps", "ttft p50"
  std::string unit;          ///< "", "s", "blocks", "requests/s"
  std::vector<Cell> values;  ///< by column, in any order
};
struct FigureTable {
  std::string title;
  std::vector<std::string> columns;
  std::vector<Figure> rows;
  std::vector<std::string> notes;
  bool detail = false;  ///< says nothing new to most readers: in the full reports only
};

/// One figure against its baseline.
struct Comparison {
  enum class Better { kLower, kHigher, kEqual };  ///< kEqual: any difference is an error
  enum class Change { kBetter, kSame, kWorse, kUnknown };
  std::string name;
  std::string unit;
  Better better = Better::kLower;
  double baseline = 0;
  double value = 0;
  /// value / baseline - 1 and where it lies; nullopt when the baseline is zero or no number.
  std::optional<double> difference = {};
  std::optional<Interval> interval = {};
  Change change = Change::kUnknown;
};
const char* to_string(Comparison::Better better);  // "lower", "higher", "equal"
const char* to_string(Comparison::Change change);  // "better", "same", "worse", "unknown"

/// Fills difference and change. `tolerance`: a relative difference that does not matter, at least
/// 0. With an interval the change is told only when all of it lies beyond the tolerance, and
/// "same" only when all of it lies within; otherwise unknown. Without one the difference decides.
Comparison compare(Comparison figures, double tolerance);

struct ComparisonTable {
  std::string title;
  std::string baseline;  ///< what the figures are compared with: "measured"
  std::string value;     ///< "simulated"
  std::vector<Comparison> rows;
  std::vector<std::string> notes;
};

/// A chart: several named lines over one x axis.
struct Series {
  std::string name;
  std::vector<double> x;
  std::vector<double> y;
};
struct Chart {
  enum class Kind { kLine, kStep, kCdf };
  std::string title;
  Kind kind = Kind::kLine;
  std::string x_label;
  std::string y_label;
  std::vector<Series> series;
};

const char* to_string(Chart::Kind kind);  // "line", "step", "cdf"

/// One bar of a trace waterfall; times in seconds from the trace's start.
struct WaterfallBar {
  std::string label;
  double start_s = 0;
  double end_s = 0;
  int depth = 0;
  std::vector<std::pair<std::string, std::string>> attributes;
};
struct Waterfall {
  std::string title;  ///< the trace id and what it is an example of
  std::vector<WaterfallBar> bars;
};

/// A request shown to the reader so that they see the subject really answered.
struct Sample {
  std::string title;
  std::string prompt;
  std::string completion;
};

struct Provenance {
  std::string tool_version;
  std::string command;  ///< as a person would type it again
  std::optional<uint64_t> seed;
  std::map<std::string, std::string> versions;  ///< "collector" → "0.155.0", "profile" → …
  std::map<std::string, std::string> digests;   ///< input name → sha256 hex
};

struct Report {
  std::string title;  ///< "check quickstart"
  Verdict verdict = Verdict::kUnknown;
  Level fail_on = Level::kMust;  ///< the weakest level whose failed checks fail the report
  std::string summary;           ///< one sentence
  std::vector<CheckOutcome> checks;
  std::vector<CoverageRow> coverage;
  std::vector<Sighting> sightings = {};  ///< where they were asked for
  std::vector<BudgetRow> budgets;
  std::vector<FigureTable> tables;
  /// Figures that programs ask for by name: "tpot_mean_error". Each stands in a table too.
  std::map<std::string, double> figures = {};
  std::vector<ComparisonTable> comparisons;
  std::vector<Chart> charts;
  std::vector<Waterfall> waterfalls;
  std::vector<Sample> samples;
  std::vector<std::string> notes;  ///< what was not run or looked at, and why
  Provenance provenance;
};

/// Combines the verdicts of `checks` and `budgets` (SHOULD and MAY findings do not fail a check
/// unless fail_on says so); kUnknown when nothing was decided. Sets report.verdict and fail_on.
/// `fail_on`: the weakest level whose failed checks fail the report.
void decide(Report& report, Level fail_on);

/// True when the check failed at a level that fails the report; false for a mere warning too.
bool fails_report(const CheckOutcome& check, const Report& report);

/// 0 pass, 1 fail, 3 unknown or nothing decided.
int exit_code(const Report& report);

}  // namespace touchstone::result
