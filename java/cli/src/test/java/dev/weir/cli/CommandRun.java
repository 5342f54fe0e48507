package dev.weir.cli;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;

/**
 * One run of the command in this JVM.
 *
 * @param status exit code
 * @param out standard output
 * @param err standard error
 */
record CommandRun(int status, String out, String err) {
  /** The bundled model. */
  static final String MODEL =
      Path.of(System.getProperty("weir.root"), "models", "stories260K").toString();

  static CommandRun of(String... args) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    int status = Weir.run(new PrintWriter(out, true), new PrintWriter(err, true), args);
    return new CommandRun(status, out.toString(), err.toString());
  }
}
