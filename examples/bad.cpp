int main = 0;
