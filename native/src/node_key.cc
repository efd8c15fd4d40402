#include "node_key.h"

namespace vpnd {

namespace {
struct ContextFree {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_MD_CTX, ContextFree>;
}  // namespace

std::unique_ptr<NodeKey> NodeKey::from_seed(View seed) {
  if (seed.size() != 32) return nullptr;
  auto key = std::make_unique<NodeKey>();
  key->key_.reset(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()));
  size_t size = kPublicKeySize;
  if (!key->key_ || EVP_PKEY_get_raw_public_key(key->key_.get(), key->public_.data(), &size) != 1) return nullptr;
  return key;
}

bool NodeKey::sign(View message, uint8_t* signature) const {
  const Context context(EVP_MD_CTX_new());
  size_t size = kSignatureSize;
  return context && EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1 &&
         EVP_DigestSign(context.get(), signature, &size, message.data(), message.size()) == 1 && size == kSignatureSize;
}

bool verify_signature(View public_key, View message, View signature) {
  if (public_key.size() != kPublicKeySize || signature.size() != kSignatureSize) return false;
  const std::unique_ptr<EVP_PKEY, EvpKeyFree> key(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, public_key.data(), public_key.size()));
  const Context context(EVP_MD_CTX_new());
  return key && context && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
         EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(), message.size()) == 1;
}

}  // namespace vpnd
