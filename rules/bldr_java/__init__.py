"""Java: javac, deterministic jars, JUnit."""
