// A verified receipt in words: what ran, where, whether it was sealed, and what it reached.
//
// Whoever signed a receipt chose its texts: all of them are escaped, none is trusted to be there.
#pragma once

#include <string>

#include "receipt/verify.h"

namespace airlock::apps {

// Lines of two columns, each ended by a newline.
std::string describe_receipt(const receipt::Receipt& receipt);

}  // namespace airlock::apps
