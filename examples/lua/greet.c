/* Runs a script of Lua with the arguments that follow its name. */
#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

int main(int argc, char **argv) {
    lua_State *state = luaL_newstate();
    int failed = 1;
    if (argc < 2) {
        fprintf(stderr, "usage: %s SCRIPT [ARGUMENT]...\n", argv[0]);
    } else if (state != NULL) {
        luaL_openlibs(state);
        failed = luaL_loadfile(state, argv[1]);
        for (int i = 2; !failed && i < argc; i++) lua_pushstring(state, argv[i]);
        failed = failed || lua_pcall(state, argc - 2, 0, 0);
        if (failed) fprintf(stderr, "%s\n", lua_tostring(state, -1));
    }
    if (state != NULL) lua_close(state);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
