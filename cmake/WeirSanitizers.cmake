# WEIR_SANITIZE=address,undefined builds everything with those sanitizers; any report ends the program.
if(WEIR_SANITIZE)
  add_compile_options(-fsanitize=${WEIR_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=${WEIR_SANITIZE})
  add_compile_definitions(WEIR_NO_MULTIVERSION)
endif()
