package dev.weir.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.Writer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class OutputTest {
  /** Takes a number of characters, then fails like a full disk or a reader that has gone. */
  private static final class LimitedWriter extends Writer {
    private int room;

    LimitedWriter(int room) {
      this.room = room;
    }

    @Override
    public void write(char[] text, int offset, int length) throws IOException {
      room -= length;
      if (room < 0) {
        throw new IOException("no space left");
      }
    }

    @Override
    public void flush() {}

    @Override
    public void close() {}

    int written(int limit) {
      return limit - room;
    }
  }

  private static int run(Writer out, Writer err, String... args) {
    return Weir.run(new PrintWriter(out), new PrintWriter(err, true), args);
  }

  @ParameterizedTest
  @ValueSource(strings = {"--help", "info --json"})
  void resultsThatCannotBeWrittenAreAFailure(String command) {
    StringWriter err = new StringWriter();
    assertThat(run(new LimitedWriter(0), err, command.split(" "))).isEqualTo(1);
    assertThat(err.toString()).contains("cannot write to standard output");
  }

  @Test
  void nothingIsGeneratedForNobody() {
    StringWriter err = new StringWriter();
    LimitedWriter out = new LimitedWriter(30);
    int status =
        run(out, err, "generate", "--model", CommandRun.MODEL, "--max-tokens", "400", "Once");
    assertThat(status).isEqualTo(1);
    assertThat(err.toString().lines())
        .containsExactly("weir generate: cannot write to standard output");
    // It stopped at the first token that could not be written.
    assertThat(out.written(30)).isBetween(30, 60);
  }

  @Test
  void anArgumentThatTheLocaleMangledIsRefused() {
    assertThat(Weir.mangledArgument("ANSI_X3.4-1968", "generate", "a\uFFFD"))
        .hasValueSatisfying(
            message -> assertThat(message).contains("argument 2", "--prompt-file", "LC_ALL"));
    assertThat(Weir.mangledArgument("ANSI_X3.4-1968", "generate", "plain")).isEmpty();
    // Under UTF-8 somebody means that character.
    assertThat(Weir.mangledArgument("UTF-8", "generate", "a\uFFFD")).isEmpty();
  }
}
