// Where a model of the Hugging Face hub lies on this machine: `facebook/opt-125m` in the cache that
// `hf download` and vLLM fill. Nothing is downloaded.
// Source: huggingface_hub 2.x constants.py and file_download.py (the layout of the cache).
#pragma once

#include <string>

#include "base/environment.h"
#include "base/result.h"

namespace touchstone::model {

struct HubLookup {
  std::string name;                ///< of a folder, or "organization/model"
  std::string revision = "main";   ///< branch, tag or commit
  std::string download_dir;        ///< --download-dir: the cache itself; empty: as below
  const Environment& environment;  ///< HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME, XDG_CACHE_HOME
};

/// The folder of the model: `name` itself if it is one, else its snapshot in the cache.
/// ERRORS: kNotFound, which says where it was looked for and how to get it.
Result<std::string> find_model(const HubLookup& lookup);

}  // namespace touchstone::model
