package dev.weir.engine;

import java.nio.file.Path;

/** The snippet of the README that shows how to link the engine. */
public final class ReadmeExample {
  private ReadmeExample() {}

  public static void main(String[] args) {
    EngineOptions options = EngineOptions.builder(Path.of("models/stories260K")).build();
    GenerationRequest request = GenerationRequest.builder("Once upon a time").maxTokens(64).build();
    try (Engine engine = Engine.start(options)) {
      for (GeneratedToken token : engine.submit(request)) {
        System.out.print(token.text());
      }
    }
  }
}
