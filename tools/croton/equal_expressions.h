#pragma once

#include <string>

#include <croton/graph/text_form.h>

/// How another variable is called that computes the same as the one of that name (its name, else what
/// computes it): same op, attributes and operands, all the way down. Nothing where there is none.
std::string equal_expression(const croton::TextGraph& graph, const std::string& name);
