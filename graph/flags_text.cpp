#include "croton/graph/flags_text.h"

#include <fmt/format.h>

#include "croton/graph/error.h"

namespace croton {
namespace {

constexpr std::string_view blanks = " \t\r\n\v\f";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

/// Text that gathers characters; blanks at its ends do not count unless they were quoted.
class Word {
 public:
  void add(char c, bool quoted) {
    if (!quoted && text_.empty() && !was_quoted_ && blanks.find(c) != std::string_view::npos) return;
    text_ += c;
    if (quoted || blanks.find(c) == std::string_view::npos) kept_ = text_.size();
    was_quoted_ = was_quoted_ || quoted;
  }
  void mark_quoted() { was_quoted_ = true; }
  std::string take() {
    text_.resize(kept_);
    std::string result = std::move(text_);
    *this = {};
    return result;
  }

 private:
  std::string text_;
  std::size_t kept_ = 0;
  bool was_quoted_ = false;
};

}  // namespace

std::vector<FlagAssignment> parse_flag_string(std::string_view text, std::string_view source) {
  std::vector<FlagAssignment> result;
  Word word;
  std::string name;
  bool has_equals = false, has_text = false;
  std::size_t start = 0;
  auto where = [&](std::size_t column) { return fmt::format("{}, column {}", source, column + 1); };
  auto finish = [&] {
    std::string last = word.take();
    if (!has_equals && has_text)
      throw FlagError(fmt::format("{}: \"{}\" has no value: write {}=VALUE", where(start), last, last));
    if (has_equals) {
      if (name.empty())
        throw FlagError(fmt::format("{}: a name is missing before \"={}\"", where(start), last));
      result.push_back({std::move(name), std::move(last), where(start)});
    }
    name.clear();
    has_equals = has_text = false;
  };
  char quote = 0;
  std::size_t quote_start = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool blank = blanks.find(c) != std::string_view::npos;
    if (!quote && c == ',') {
      finish();
      continue;
    }
    if (!has_text && !has_equals && !blank) {
      start = i;
      has_text = true;
    }
    // As in a shell: ' keeps everything, " lets \ escape " and \, outside quotes \ escapes anything.
    if (c == '\\' && quote != '\'' && i + 1 < text.size() &&
        (!quote || text[i + 1] == '"' || text[i + 1] == '\\')) {
      word.add(text[++i], true);
    } else if (quote) {
      if (c == quote)
        quote = 0;
      else
        word.add(c, true);
    } else if (c == '\'' || c == '"') {
      quote = c;
      quote_start = i;
      word.mark_quoted();
    } else if (c == '=' && !has_equals) {
      has_equals = true;
      name = word.take();
    } else {
      word.add(c, false);
    }
  }
  if (quote) throw FlagError(fmt::format("{}: the quote {} is not closed", where(quote_start), quote));
  finish();
  return result;
}

std::vector<FlagAssignment> parse_flag_file(std::string_view text, std::string_view file) {
  std::vector<FlagAssignment> result;
  std::string section;
  bool in_section = false;
  std::size_t number = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const std::string where = fmt::format("{}:{}", file, ++number);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      if (line.back() != ']') throw FlagError(fmt::format("{}: the section \"{}\" has no ]", where, line));
      section = trimmed(line.substr(1, line.size() - 2));
      if (section.empty()) throw FlagError(fmt::format("{}: a section needs a name: [global]", where));
      in_section = true;
      continue;
    }
    const std::size_t split = line.find_first_of("=:");
    if (split == std::string_view::npos)
      throw FlagError(fmt::format("{}: \"{}\" is neither [section] nor name = value", where, line));
    const std::string_view name = trimmed(line.substr(0, split));
    if (name.empty()) throw FlagError(fmt::format("{}: a name is missing before \"{}\"", where, line));
    if (!in_section)
      throw FlagError(
          fmt::format("{}: \"{}\" stands before any section: write [global] above it", where, name));
    std::string full = section == "global" ? std::string(name) : fmt::format("{}.{}", section, name);
    result.push_back({std::move(full), std::string(trimmed(line.substr(split + 1))), where});
  }
  return result;
}

}  // namespace croton
