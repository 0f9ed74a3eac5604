#include "receipt/signing_key.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <span>

#include "base/unique_fd.h"
#include "receipt/key_pem.h"
#include "receipt/sodium_bytes.h"

namespace airlock::receipt {
namespace {

using base::UniqueFd;

constexpr const char* kUnfinishedKeyFile = "receipt.key.new";
constexpr const char* kUnfinishedPublicFile = "receipt.pub.new";

base::Status write_new_file(int folder_fd, const char* name, std::string_view text, mode_t mode) {
  ::unlinkat(folder_fd, name, 0);  // of a start that did not get further
  const UniqueFd file(
      ::openat(folder_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!file.valid()) return base::fail_errno(std::string("make ") + name);
  if (::fchmod(file.get(), mode) != 0 ||
      ::write(file.get(), text.data(), text.size()) != std::ssize(text) ||
      ::fsync(file.get()) != 0) {
    return base::fail_errno(std::string("write ") + name);
  }
  return {};
}

base::Result<UniqueFd> open_folder(const std::string& folder) {
  const bool made = ::mkdir(folder.c_str(), 0700) == 0;
  if (!made && errno != EEXIST) return base::fail_errno("make the folder " + folder);
  UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status{};
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0) return base::fail_errno("open " + folder);
  if (status.st_uid != ::geteuid() || (status.st_mode & 022) != 0) {
    return base::fail(base::ErrorCode::kPermissionDenied,
                      folder + " belongs to others, or others can write to it",
                      "the key that signs receipts needs a folder of its own: chmod 700");
  }
  if (made) {
    const UniqueFd parent(::openat(fd.get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!parent.valid() || ::fsync(parent.get()) != 0) return base::fail_errno("keep " + folder);
  }
  return fd;
}

// The private key's text, if it is ours alone.
base::Result<std::string> read_key_file(int fd, const std::string& path) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return base::fail_errno("read " + path);
  if (!S_ISREG(status.st_mode) || status.st_uid != ::geteuid() || (status.st_mode & 077) != 0) {
    return base::fail(base::ErrorCode::kPermissionDenied,
                      path + " can be read or was made by others",
                      "if nobody else has read it: chmod 600; else remove it: a new key is made, "
                      "and whoever has pinned the old one has to be told");
  }
  std::string text(kKeyFileBytesMax, '\0');
  const ssize_t count = ::pread(fd, text.data(), text.size(), 0);
  if (count < 0) return base::fail_errno("read " + path);
  text.resize(static_cast<std::size_t>(count));
  return text;
}

// receipt.pub follows from the key: it is made again when it is missing or says something else.
base::Status keep_public_key(int folder_fd, const PublicKey& key) {
  const std::string pem = key.to_pem();
  std::array<char, 1024> found{};
  const UniqueFd known(
      ::openat(folder_fd, kPublicKeyFile, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  const ssize_t count = known.valid() ? ::read(known.get(), found.data(), found.size()) : -1;
  if (count == std::ssize(pem) && pem == std::string_view(found.data(), pem.size())) return {};
  AIRLOCK_TRY(write_new_file(folder_fd, kUnfinishedPublicFile, pem, 0644));
  if (::renameat(folder_fd, kUnfinishedPublicFile, folder_fd, kPublicKeyFile) != 0 ||
      ::fsync(folder_fd) != 0) {
    return base::fail_errno(std::string("keep ") + kPublicKeyFile);
  }
  return {};
}

}  // namespace

void SigningKey::Free::operator()(unsigned char* secret) const { sodium_free(secret); }

base::Result<SigningKey> SigningKey::from_seed(std::string_view seed) {
  if (seed.size() != kKeyBytes) {
    return base::fail(base::ErrorCode::kInvalidArgument, "the seed of a key has 32 bytes");
  }
  start_sodium();
  // Why safe: bytes that only this owner has.
  Secret secret(static_cast<unsigned char*>(sodium_malloc(crypto_sign_SECRETKEYBYTES)));
  if (secret == nullptr) return base::fail_errno("keep a private key in memory");
  std::array<unsigned char, kKeyBytes> raw{};
  crypto_sign_seed_keypair(raw.data(), secret.get(), bytes_of(seed));
  AIRLOCK_ASSIGN(const PublicKey public_key, PublicKey::from_raw(text_of(raw)));
  return SigningKey(std::move(secret), public_key);
}

base::Result<SigningKey> SigningKey::from_pem(std::string_view pem) {
  auto seed = read_key_pem(kPrivateKeyForm, pem);
  if (!seed) {
    return base::fail(base::ErrorCode::kInvalidArgument, "not an Ed25519 private key in PKCS#8");
  }
  const WipedAtEnd wiped(*seed);
  return from_seed(*seed);
}

std::string SigningKey::to_pem() const {
  return write_key_pem(kPrivateKeyForm, text_of({secret_.get(), kKeyBytes}));
}

std::string SigningKey::sign(std::string_view message) const {
  std::string signature(kSignatureBytes, '\0');
  crypto_sign_detached(bytes_of(signature), nullptr, bytes_of(message), message.size(),
                       secret_.get());
  return signature;
}

base::Result<SigningKey> SigningKey::read(int folder_fd, const std::string& path) {
  const UniqueFd file(
      ::openat(folder_fd, kPrivateKeyFile, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file.valid()) return base::fail_errno("open " + path);
  AIRLOCK_ASSIGN(std::string pem, read_key_file(file.get(), path));
  const WipedAtEnd wiped(pem);
  return from_pem(pem).with_context(path);
}

base::Result<SigningKey> SigningKey::make(int folder_fd, const std::string& path,
                                          base::RandomSource& random) {
  std::string seed(kKeyBytes, '\0');
  const WipedAtEnd wiped_seed(seed);
  // Why safe: chars as bytes.
  random.fill(std::as_writable_bytes(std::span(seed)));
  auto key = from_seed(seed);
  if (!key) return key;
  std::string pem = key->to_pem();
  const WipedAtEnd wiped_pem(pem);
  AIRLOCK_TRY(write_new_file(folder_fd, kUnfinishedKeyFile, pem, 0600));
  // Never over a key that another process has put there meanwhile.
  const bool linked = ::linkat(folder_fd, kUnfinishedKeyFile, folder_fd, kPrivateKeyFile, 0) == 0;
  if (!linked && errno != EEXIST) return base::fail_errno("keep " + path);
  ::unlinkat(folder_fd, kUnfinishedKeyFile, 0);
  if (::fsync(folder_fd) != 0) return base::fail_errno("keep " + path);
  return linked ? std::move(key) : read(folder_fd, path);
}

base::Result<SigningKey> SigningKey::open_or_make(const std::string& folder,
                                                  base::RandomSource& random) {
  AIRLOCK_ASSIGN(const UniqueFd folder_fd, open_folder(folder));
  const std::string path = folder + "/" + kPrivateKeyFile;
  auto key = read(folder_fd.get(), path);
  if (!key && key.error().os_errno == ENOENT) key = make(folder_fd.get(), path, random);
  if (!key) return key;
  AIRLOCK_TRY(keep_public_key(folder_fd.get(), key->public_key()));
  return key;
}

}  // namespace airlock::receipt
