// Verification: from bytes that anybody may have written to a receipt that can be believed.
//
// verify_receipt gives a Receipt only if the envelope is well-formed, the signature is that of the
// pinned key (or, with none pinned, of the key that the receipt itself names), the statement is
// one of ours, and the subject is the digest of the manifest in it. Who signed is known only if
// the key was pinned. Needs no network, no clock and no state.
#pragma once

#include <boost/json/object.hpp>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/job.h"
#include "receipt/public_key.h"

namespace airlock::receipt {

struct Receipt {
  boost::json::object predicate;
  std::string manifest;  // canonical JSON
  std::vector<model::ArtifactDigest> outputs;
  std::string digest;    // of the envelope
  std::string previous;  // digest of the receipt before it; empty: the runner's first
  std::string challenge;
  PublicKey signer;
  bool pinned = false;
};

base::Result<Receipt> verify_receipt(std::string_view envelope,
                                     const std::optional<PublicKey>& pinned);

// How receipts hang together. Indices are those of the span.
struct Chain {
  std::vector<std::size_t> order;  // a receipt stands behind the one that it follows
  std::size_t parts = 0;           // 1: an unbroken chain
  // Two receipts that claim the same place: the runner has told two histories.
  std::vector<std::pair<std::size_t, std::size_t>> forks;
  bool one_signer = true;
};
Chain find_chain(std::span<const Receipt> receipts);

// Whether `logs` are those that the contract hashes of the receipt are about; kNotFound if it has
// none.
base::Status check_contract_hashes(const Receipt& receipt, std::string_view logs);

}  // namespace airlock::receipt
