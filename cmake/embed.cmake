# touchstone_embed(TARGET NAMESPACE FUNCTION FILES…): a source file that holds the texts of FILES
# as string constants and lists them as `const std::vector<EmbeddedText>& FUNCTION()`, so that the
# program needs no data directory at run time. EmbeddedText is base/embedded_text.h.
function(touchstone_embed target namespace function)
  set(rows "")
  foreach(file IN LISTS ARGN)
    get_filename_component(name ${file} NAME)
    file(READ ${file} text)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    # A string literal may be 64 KiB at most in some compilers; adjacent ones are joined.
    set(pieces "")
    string(LENGTH "${text}" length)
    set(offset 0)
    while(offset LESS length)
      string(SUBSTRING "${text}" ${offset} 8000 piece)
      string(APPEND pieces "R\"embedded(${piece})embedded\"\n")
      math(EXPR offset "${offset} + 8000")
    endwhile()
    string(APPEND rows "      {\"${name}\",\n${pieces}},\n")
  endforeach()
  set(generated ${CMAKE_CURRENT_BINARY_DIR}/${function}_embedded.cc)
  file(CONFIGURE OUTPUT ${generated} @ONLY CONTENT [[// Generated from data files by cmake/embed.cmake.
#include "base/embedded_text.h"

namespace @namespace@ {

const std::vector<touchstone::EmbeddedText>& @function@() {
  static const std::vector<touchstone::EmbeddedText> kTexts = {
@rows@  };
  return kTexts;
}

}  // namespace @namespace@
]])
  target_sources(${target} PRIVATE ${generated})
endfunction()
