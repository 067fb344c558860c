# Included at the end of project() by `mutate`: the tests link a shared library of the whole runtime
# with every symbol, so that a changed source is one object and one link, and no test links again.
set(CMAKE_LINK_DEPENDS_NO_SHARED ON)
cmake_language(DEFER DIRECTORY ${CMAKE_SOURCE_DIR} CALL weft_judge)
function(weft_judge)
  set_target_properties(weft_objects PROPERTIES C_VISIBILITY_PRESET default)
  add_library(weft_judged SHARED $<TARGET_OBJECTS:weft_objects>)
  set_target_properties(weft_judged PROPERTIES LINKER_LANGUAGE C)
  target_link_libraries(weft_judged PUBLIC weft_deps PRIVATE ${WEFT_SANITIZE_FLAGS})
  set_target_properties(weft_internal PROPERTIES INTERFACE_LINK_LIBRARIES "weft_flags;weft_judged")
endfunction()
