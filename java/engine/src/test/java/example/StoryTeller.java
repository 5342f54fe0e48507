package example;

import dev.weir.engine.Engine;
import dev.weir.engine.EngineOptions;
import dev.weir.engine.GenerationRequest;
import java.nio.file.Path;

/** The snippet of the README that links the engine; {@link ReadmeTest} runs it. */
final class StoryTeller {
  private StoryTeller() {}

  public static void main(String[] args) {
    var options = EngineOptions.builder(Path.of("models/stories260K")).kvBlocks(256).build();
    var prompt = GenerationRequest.builder("Once upon a time").maxTokens(64).build();
    try (Engine engine = Engine.start(options)) {
      engine.submit(prompt).forEach(token -> System.out.print(token.text()));
    }
  }
}
