// JSON from files that nobody vouches for: bounded in depth and in number of values, without duplicate names.
#pragma once

#include <cstddef>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace weir {

// `text` for a message: in quotes, unprintable bytes escaped, cut where it gets long.
inline std::string in_quotes(std::string_view text) {
  constexpr size_t kLongest = 120;
  size_t length = text.size();
  if (length > kLongest) {
    length = kLongest;
    while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) --length;
  }
  std::string result = "\"";
  for (const char c : text.substr(0, length)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\x%02x", static_cast<unsigned>(byte));
      result += escape;
    } else {
      result += c;
    }
  }
  return result + (length < text.size() ? "...\"" : "\"");
}

inline Error invalid_json(const std::string& origin, size_t position) {
  return {WEIR_INVALID_MODEL, origin + " is not valid JSON at byte " + std::to_string(position)};
}

// Parses `text`, which `origin` names in messages. Throws Error WEIR_INVALID_MODEL if it is not valid JSON,
// is nested deeper than 32, holds more than 65536 values, or if an object has a name twice.
inline nlohmann::json parse_json(std::string_view text, const std::string& origin) {
  using Event = nlohmann::json::parse_event_t;
  constexpr int kDeepest = 32;
  constexpr size_t kMostValues = 65536;
  size_t values = 0;
  // Of the objects that are open. Ordered, because names can be chosen so that their hashes collide.
  std::vector<std::set<std::string>> names;

  const auto check = [&](int depth, Event event, nlohmann::json& parsed) {
    switch (event) {
      case Event::object_start:
        names.emplace_back();
        [[fallthrough]];
      case Event::array_start:
        if (depth >= kDeepest) {
          throw Error(WEIR_INVALID_MODEL, origin + " is nested deeper than " + std::to_string(kDeepest));
        }
        [[fallthrough]];
      case Event::value:
        if (++values > kMostValues) {
          throw Error(WEIR_INVALID_MODEL,
                      origin + " holds more than " + std::to_string(kMostValues) + " values");
        }
        break;
      case Event::key:
        if (!names.back().insert(parsed.get<std::string>()).second) {
          throw Error(WEIR_INVALID_MODEL, origin + " has the name " +
                                              in_quotes(parsed.get_ref<const std::string&>()) +
                                              " twice in one object");
        }
        break;
      case Event::object_end:
        names.pop_back();
        break;
      case Event::array_end:
        break;
    }
    return true;
  };
  try {
    return nlohmann::json::parse(text.begin(), text.end(), check);
  } catch (const nlohmann::json::parse_error& error) {
    throw invalid_json(origin, error.byte);
  } catch (const nlohmann::json::exception& error) {
    throw Error(WEIR_INVALID_MODEL, origin + " cannot be parsed: " + in_quotes(error.what()));
  }
}

}  // namespace weir
