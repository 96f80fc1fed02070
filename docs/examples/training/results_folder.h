#pragma once

#include <string>

/// Makes the folder for a program's results, if need be, and tries whether `first_file` can be written there:
/// who trains for minutes wants to know before. Leaves nothing behind. Throws croton::FileError.
void make_results_folder(const std::string& folder, const std::string& first_file);
