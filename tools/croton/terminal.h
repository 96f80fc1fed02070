#pragma once

/// Whether standard output takes colours: it is a terminal, and NO_COLOR (no-color.org) is not set.
bool wants_color();
