// What verbs that end in a report share: printing it, writing it, and the exit code.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/verb.h"
#include "reports/reports.h"
#include "result/result_model.h"

namespace touchstone::cli {

/// Writes `text` to stdout. ERRORS: kIo when it could not all be written (disk full, closed pipe).
Status print(const std::string& text);

/// The digest of this program into the report's provenance, as "touchstone". One that judges a run
/// of another program keeps that one's as "touchstone of the run". ERRORS: kIo.
Status add_program_digest(result::Report& report);

/// Signs `report` with add_program_digest(), prints it in `format` on stdout and, when `directory`
/// is not empty, writes a file of every format there. The exit code is the
/// report's, or kUndecided with a message when the report could not be written.
Exit finish_report(result::Report report, const reports::Format& format,
                   const std::string& directory);

/// --fail-on: MUST, SHOULD or MAY in any case; `word` holds the default and gets the choice.
void add_fail_on_flag(CLI::App& app, std::string& word);
/// REQUIRES: a word that the flag takes.
result::Level level_of(const std::string& word);

/// For flags that name what is written: an empty path is refused.
CLI::Validator path_to_write();

/// `word` quoted for a shell where it needs to be, for Provenance::command.
std::string shell_word(const std::string& word);

}  // namespace touchstone::cli
