// The nested values of a job as JSON texts, for the columns that hold them.
//
// One value has one text: two equal specs encode alike, which is how an idempotency key knows its
// spec again. Decoding takes what encoding gives, and texts of older versions, in which members may
// be missing; anything else is an error (kIo) that names the member, never a crash. A text that is
// no UTF-8 cannot be read back: `is_storable` says so of a spec; in everything else what is no
// UTF-8 becomes U+FFFD, because a job must be able to end whatever its program printed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/job.h"

namespace airlock::store::sqlite {

// kInvalidArgument names the member that is no UTF-8.
base::Status is_storable(const model::JobSpec& spec);

std::string encode(const model::JobSpec& spec);
std::string encode(const std::vector<model::AssignedGpu>& gpus);
std::string encode(const std::vector<model::PhaseRecord>& phases);
std::string encode(const std::vector<model::EgressEntry>& entries);
std::string encode(const model::SealRecord& seal);
std::string encode(const std::vector<model::ArtifactDigest>& artifacts);

base::Status decode(std::string_view text, model::JobSpec& spec);
base::Status decode(std::string_view text, std::vector<model::AssignedGpu>& gpus);
base::Status decode(std::string_view text, std::vector<model::PhaseRecord>& phases);
base::Status decode(std::string_view text, std::vector<model::EgressEntry>& entries);
base::Status decode(std::string_view text, model::SealRecord& seal);
base::Status decode(std::string_view text, std::vector<model::ArtifactDigest>& artifacts);

// `text` with U+FFFD for whatever is no UTF-8, at most `bytes_max` long.
std::string storable_text(std::string_view text, std::size_t bytes_max);

}  // namespace airlock::store::sqlite
