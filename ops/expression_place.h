#pragma once

#include <string>

#include "croton/graph/error.h"
#include "croton/graph/source_location.h"
#include "croton/ops/expression_value.h"

namespace croton::expression {

/// The text of an error with the place in the expression behind it.
inline std::string text_with_place(const Error& error, const Source& source, std::size_t offset) {
  const TextPlace place = text_place(source.name, source.text, offset);
  return std::string(error.what()) + "\n  at " + place.where + "\n" + place.excerpt;
}

/// Runs what makes nodes: they get that location, and what ops throw gets the place in the
/// expression behind it, its type kept.
template <class Run>
Value with_place(const Source& source, std::size_t offset, const SourceLocation& where, Run run) {
  try {
    const LocationScope scope(where);
    return run();
  } catch (const TypeError& e) {
    throw TypeError(text_with_place(e, source, offset));
  } catch (const ShapeError& e) {
    throw ShapeError(text_with_place(e, source, offset));
  } catch (const IndexError& e) {
    throw IndexError(text_with_place(e, source, offset));
  } catch (const ValueError& e) {
    throw ValueError(text_with_place(e, source, offset));
  } catch (const DisconnectedInputError& e) {
    throw DisconnectedInputError(text_with_place(e, source, offset));
  } catch (const NullTypeGradError& e) {
    throw NullTypeGradError(text_with_place(e, source, offset));
  }
}

}  // namespace croton::expression
